"""Where each conclusion is tested that was drawn from what the real peers do.

The table names the sections of the notes on Transit, the conclusion in short, and the tests that
hold it. Those against the real peers themselves are in tests/interop.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast.transit.bulk import ROOM

TESTS = Path(__file__).parent.parent
CONCLUSIONS: list[tuple[int, str, tuple[str, ...]]] = [
    (
        1,
        "after a restart: the same port, the same side at the relay, one transit message",
        (
            "flows/test_transfers_said.py::test_dying_at_every_entry",
            "flows/test_transfers_said.py::test_without_an_address",
            "flows/test_carrying.py::test_the_side_at_a_relay",
            "flows/test_carrying.py::test_a_port_that_is_taken",
        ),
    ),
    (
        1,
        "our capabilities are among the versions",
        (
            "flows/test_transfers_said.py::test_a_sender_says",
            "transfer/test_messages.py::test_who_resumes",
        ),
    ),
    (
        1,
        "an error with the reason goes before the end, and theirs is waited for",
        (
            "flows/test_hostile_peers.py::test_senders",
            "flows/test_hostile_peers.py::test_receivers",
            "flows/test_hostile_peers.py::test_an_error_in_the_middle",
            "flows/test_carrying.py::test_a_connection_that_breaks",
        ),
    ),
    (
        1,
        "a receiver always answers, or says an error",
        (
            "flows/test_transfers.py::test_every_message_to_a_receiver",
            "flows/test_transfers_said.py::test_what_cannot_be_taken",
            "flows/test_transfers_said.py::test_nobody_can_be_asked",
            "flows/test_transfers_said.py::test_the_person_refuses",
        ),
    ),
    (
        2,
        "hints in the types that all read; bad ones of theirs are skipped one by one",
        (
            "transit/test_hints.py::test_the_stock_client_understands_ours",
            "transit/test_hints.py::test_bad_hints",
            "transit/test_hints.py::test_anything",
            "transfer/test_messages.py::test_what_is_said",
        ),
    ),
    (2, "few hints", ("transit/test_internet.py::test_reachable",)),
    (
        2,
        "a receiver's line and a sender's go are final: after the answer, on what is to be used",
        (
            "transit/test_contest.py::test_a_receiver_is_silent_until_it_chooses",
            "flows/test_carrying.py::test_what_is_durable_first",
            "flows/test_carrying.py::test_a_candidate_before_the_answer",
            "flows/test_carrying.py::test_after_a_restart",
        ),
    ),
    (
        2,
        "a sender answers every socket at once, and turns the losers down",
        (
            "transit/test_contest.py::test_losers",
            "transit/test_contest.py::test_a_sender_answers_before_it_dials",
        ),
    ),
    (2, "100 ms after a relay's ok", ("transit/test_contest.py::test_through_a_relay",)),
    (3, "one side over restarts", ("flows/test_carrying.py::test_the_side_at_a_relay",)),
    (4, "records of 64 to 128 KiB", ("flows/test_transit_notes.py::test_the_size_of_records",)),
    (
        4,
        "what is accepted is bounded before anything else",
        (
            "transit/test_bulk.py::test_hostile",
            "transit/test_bulk.py::test_memory_follows_what_came",
            "transit/test_records.py::test_lengths",
            "flows/test_hostile_peers.py::test_senders",
        ),
    ),
    (
        4,
        "a limit for silence of our own, and keepalive",
        (
            "transit/test_wire.py::test_silence",
            "transit/test_wire.py::test_keepalive",
            "flows/test_hostile_peers.py::test_silent_senders",
        ),
    ),
    (4, "an empty record after a second", ("transfer/test_pumping.py::test_late_ack_of_nothing",)),
    (
        4,
        "an acknowledgement has both keys, in lower case",
        ("flows/test_hostile_peers.py::test_hints",),
    ),
    (
        4,
        "a source that changed is not sent as what was offered",
        (
            "transfer/test_pumping.py::test_changed_source",
            "transfer/test_pumping.py::test_short_source",
            "transfer/test_sources.py::test_a_change_while_a_file_is_read",
        ),
    ),
    (
        5,
        "a temporary name of our own, followed nowhere; nothing is replaced",
        (
            "transfer/test_landing.py::test_what_somebody_put_there",
            "transfer/test_landing.py::test_nothing_is_replaced",
        ),
    ),
    (
        5,
        "hostile names are repaired or refused, and escaped when they are shown",
        (
            "transfer/test_names.py::test_a_hostile_name_is_repaired",
            "transfer/test_names.py::test_a_name_of_which_nothing_is_left_is_refused",
            "transfer/test_names.py::test_whatever_is_shown",
            "transfer/test_messages.py::test_what_is_heard",
        ),
    ),
    (
        6,
        "entries are checked before anything is unpacked, in a directory of our own",
        (
            "transfer/test_unpacking.py::test_names_that_are_refused",
            "transfer/test_unpacking.py::test_entries_that_are_refused",
            "transfer/test_unpacking.py::test_more_than_was_offered",
            "transfer/test_unpacking.py::test_modes",
            "transfer/test_landing.py::test_a_folder",
            "flows/test_hostile_peers.py::test_folders",
        ),
    ),
    (6, "the acknowledgement comes after that", ("flows/test_hostile_peers.py::test_hints",)),
]


@pytest.mark.parametrize("test", sorted({each for *_, tests in CONCLUSIONS for each in tests}))
def test_the_table_is_true(test: str) -> None:
    """Each of these tests is there."""
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (TESTS / path).read_text(), re.MULTILINE)


def test_the_size_of_records() -> None:
    """Those that the stock receivers are fastest with."""
    assert 64 * 1024 <= ROOM <= 128 * 1024
