"""Run with: python -m unittest test_issue_token"""

import unittest
from itertools import count
from unittest.mock import patch

from issue_token import IssueToken

from holdfast.testing import World


def say_ok(peer, token):
    peer.send(b"ok")


class IssueTokenTest(unittest.TestCase):
    def test_a_token(self):
        """Who enters the code gets a token, once, and the flow is done."""
        with World() as world:
            world.start(IssueToken(user="ada"))
            peer = world.peer(world.code(), say_ok)
            world.until(world.finished)
            self.assertEqual(world.status(), "done")
            self.assertEqual(len(peer.messages), 1)

    def test_tokens_cannot_be_made_for_a_while(self):
        """A task that fails is tried again, and nothing is sent before it is done."""
        with World() as world:
            world.start(IssueToken(user="ada"))
            with patch("secrets.token_urlsafe", side_effect=OSError("the service is away")):
                peer = world.peer(world.code(), say_ok)
                world.advance(5)
                self.assertEqual(peer.messages, [])
            world.advance(60)
            self.assertEqual(world.status(), "done")
            self.assertEqual(len(peer.messages), 1)

    def test_nobody_comes(self):
        """At its deadline the flow ends, and who comes later gets nothing."""
        with World() as world:
            world.start(IssueToken(user="ada"), deadline=3600)
            code = world.code()
            world.advance(3700)
            self.assertEqual(world.status(), "expired")
            peer = world.peer(code, say_ok)
            world.advance(60)
            self.assertEqual(peer.messages, [])

    def test_the_process_dies(self):
        """Whatever it has written when it dies, sent or not, the next one goes on from there."""
        for entries in count(1):
            for sent in (False, True):
                with self.subTest(entries=entries, sent=sent), World() as world:
                    world.crash_after(entries, sent=sent)
                    world.start(IssueToken(user="ada"))
                    peer = world.peer(world.code(), say_ok)
                    world.until(world.finished)
                    self.assertEqual(world.status(), "done")
                    self.assertEqual(len(peer.messages), 1)
            if not world.crashes:
                break  # it was over before
