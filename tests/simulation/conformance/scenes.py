"""Scenes with two and three sides, and what everybody is told in them (see scripts.py)."""

SCENES = {
    "an exchange": """
        ann: allocate, claim 1, open @, add pake 01, ping 1
        = ann allocated 1, ann claimed, ann message pake, ann pong
        bob: list, claim 1, open @, ping 2
        = bob nameplates, bob claimed, bob message pake, bob pong
        bob: add pake 02, release 1
        = ann message pake, bob message pake, bob released
        ann: release 1, add version 03, close @ happy
        = ann released, ann message version, bob message version, ann closed
        bob: add version 04, close @ happy, list
        = bob message version, bob closed, bob nameplates
    """,
    "connections of one side both hear everything, in the order in which they came": """
        ann: open box
        ann2: open box, add 0 01
        = ann message 0, ann2 message 0
        bob: open box
        ann: gone
        ann3: open box, add 1 02
        = bob message 0, ann3 message 0, ann2 message 1, bob message 1, ann3 message 1
    """,
    "nothing is added once only": """
        ann: open box, add 0 01, add 0 01, gone
        ann: open box, add 0 02
        = ann message 0, ann message 0, ann message 0, ann message 0, ann message 0
    """,
    "commands that come again on a new connection": """
        ann: allocate, claim 1, open @, add 0 01, gone
        = ann allocated 1, ann claimed, ann message 0
        ann: allocate, claim 1, open @, ping 1, gone
        = ann allocated 2, ann claimed, ann message 0, ann pong
        ann: release 1, gone
        ann: release 1, close @, gone
        ann: close @
        = ann released, ann released, ann closed, ann closed
    """,
    "a nameplate once released": """
        ann: claim 4, release
        bob: claim 4
        = ann claimed, ann released, bob claimed
        ann: gone
        ann: release 4
        bob: release
        = ann released, bob released
        ann: gone
        ann: claim 4
        bob: gone
        bob: claim 4
        ann: release, gone
        ann: claim 4, release
        = ann claimed, bob claimed, ann released, ann error reclaimed, ann released
    """,
    "a release of what was never claimed": """
        ann: claim 4
        bob: release 4, release 5
        = ann claimed, bob released, bob error only one release per connection
    """,
    "a third side is refused, and from then on so are the others, but for those who are in": """
        ann: claim 4, open @
        bob: claim 4, open @
        = ann claimed, bob claimed
        eve: claim 4, open @, close @, list
        = eve error crowded, eve error crowded, eve error crowded, eve nameplates
        ann: add 0 01
        = ann message 0, bob message 0
        bob2: claim 4, open @, close @, release 4
        = bob2 error crowded, bob2 error crowded, bob2 error crowded, bob2 released
        bob: add 1 02, close @
        = ann message 1, bob message 1, bob closed
        ann: vanish
        ann: claim 4, release, close @
        = ann error crowded, ann released, ann error crowded
        eve: release
        = eve released
    """,
    "a third side that opens, or only closes, crowds as well": """
        ann: open box
        bob: open box
        eve: close box
        ann2: open box
        = eve error crowded, ann2 error crowded
        amnesia
        = ann CUT, bob CUT, eve CUT, ann2 CUT
    """,
    "a crowded mailbox lives as long as somebody tries": """
        ann: open box, gone
        bob: open box, gone
        eve: open box, gone
        = eve error crowded
        wait 500
        ann: open box, gone
        = ann error crowded
        wait 500
        ann: open box, gone
        = ann error crowded
        wait 1000
        ann: open box
        = nothing
    """,
    "who is last to close cannot, while another has not released": """
        ann: claim 4, open @
        bob: claim 4, open @, release 4
        ann: close @
        = ann claimed, bob claimed, bob released, ann closed
        bob: close @
        bob: open @, close @
        wait 1
        bob: close @
        = bob CUT, bob CUT, bob CUT
        ann: release 4
        bob: close @, list
        = ann released, bob closed, bob nameplates
    """,
    "that keeps the mailbox as long as somebody tries": """
        ann: claim 4, open @
        bob: claim 4, open @, release 4
        ann: close @, gone
        bob: close @
        wait 500
        bob: close @
        wait 500
        bob: close @
        = ann claimed, bob claimed, bob released, ann closed, bob CUT, bob CUT, bob CUT
        wait 1000
        bob: close @
        = bob closed
    """,
    "who did not release can also close once more": """
        ann: claim 4, open @
        bob: claim 4, open @, release 4
        ann: close @, gone
        bob: close @
        ann: close @
        = ann claimed, bob claimed, bob released, ann closed, bob CUT, ann closed
        bob: close @, list
        = bob closed, bob nameplates
    """,
    "a claim that was dropped on the way into a wall comes back if the server dies": """
        ann: claim 4, open @
        bob: claim 4, open @, release 4
        ann: close @, gone
        bob: close @
        restart
        ann: close @
        = ann claimed, bob claimed, bob released, ann closed, bob CUT, ann CUT
    """,
    "it stays away if somebody commits before": """
        ann: claim 4, open @
        bob: claim 4, open @, release 4
        ann: close @, gone
        bob: close @
        = ann claimed, bob claimed, bob released, ann closed, bob CUT
        carol: open elsewhere
        restart
        = carol CUT
        ann: close @
        = ann closed
    """,
    "the last close takes the side from all nameplates": """
        ann: claim 4, open @
        ann2: claim 5
        = ann claimed, ann2 claimed
        ann: release 4, close
        bob: claim 5
        ann3: release 5
        bob: release 5, list
        = ann released, ann closed, bob claimed, ann3 released, bob released, bob nameplates
    """,
    "who opens again after a close gets all, but is not counted: the mailbox goes": """
        ann: open box, add 0 01
        bob: open box
        ann: close
        = ann message 0, bob message 0, ann closed
        ann: open box, close
        = ann message 0, ann error only one close per connection
        bob: close
        = bob closed
        ann: add 1 02
        = nothing
        bob: open box
        = bob message 1
        bob2: close box
        ann: add 2 03
        = bob2 closed
    """,
    "another mailbox on the same connection": """
        ann: open box, close, open other, add 0 01, close
        = ann closed, ann message 0, ann error only one close per connection
        bob: open other
        = bob message 0
    """,
    "mailboxes of another application": """
        raw says {"type": "bind", "appid": "another", "side": "ann"}
        raw says {"type": "claim", "nameplate": "4"}
        ann: list, claim 4
        = raw claimed, ann nameplates, ann claimed
        raw says {"type": "open", "mailbox": "box"}
        ann: open box
        = ann CUT
        wait 1000
        raw says {"type": "add", "phase": "0", "body": "00"}
        = raw message 0
    """,
    "pruning": """
        ann: claim 1, gone
        bob: claim 2
        = ann claimed, bob claimed
        carol: claim 3, open @
        dave: claim 4, open @, add 0 01, release, gone
        = carol claimed, dave claimed, dave message 0, dave released
        eve: claim 5, open @, vanish
        = eve claimed
        wait 899
        ann: list
        wait 1
        ann: list, claim 1
        bob: release
        bob2: claim 4
        = ann nameplates, ann nameplates, ann claimed, bob released, bob2 claimed
        carol: add 0 02
        = carol message 0
    """,
    "what keeps a mailbox": """
        ann: open opened
        bob: open added
        carol: claim 4
        dave: open closed
        fred: open closed, gone
        wait 250
        ann: gone
        bob: add 0 01, gone
        carol2: claim 4
        dave: close, gone
        = carol claimed, bob message 0, carol2 claimed, dave closed
        wait 649
        wait 1
        wait 300
    """,
    "the last moment": """
        wait 240
        ann: open in_time, gone
        wait 0.5
        bob: open later, gone
        wait 659.5
        wait 300
    """,
    "a restart keeps": """
        ann: claim 4, open @, add 0 01
        wait 650
        restart
        = ann claimed, ann message 0, ann CUT
        ann: list, claim 4, open @
        bob: claim 4, open @
        = ann nameplates, ann claimed, ann message 0, bob claimed, bob message 0
    """,
    "a start sweeps, and so do the times counted from it": """
        wait 250
        ann: open old, gone
        wait 100
        bob: open box, add 0 01, gone
        wait 579
        restart
        = bob message 0
        ann: open old
        bob: open box, gone
        = bob message 0
        wait 899
        wait 1
        bob: open box
        = nothing
    """,
    "a lost database": """
        ann: claim 4, open @, add 0 01
        = ann claimed, ann message 0
        amnesia
        ann: open @, add 0 01
        bob: claim 4
        = ann CUT, ann message 0, bob claimed
    """,
    "a nameplate claimed again after it was forgotten leads elsewhere": """
        ann: claim 4, open @, add pake 01, gone
        = ann claimed, ann message pake
        wait 1000
        ann: open @, add pake 01
        bob: claim 4, open @
        = ann message pake, bob claimed
        ann2: claim 4, open @, add pake 01
        = ann2 claimed, bob message pake, ann2 message pake
    """,
    "a client that vanished counts": """
        ann: open box, vanish
        wait 2000
        bob: open box, add 0 01
        = ann message 0, bob message 0
        ann: open box
        = ann message 0
    """,
    "an application dropped from memory, under who was bound to it": """
        ann: open box, add 0 01
        restart
        = ann message 0, ann CUT
        bob: hello
        wait 301
        bob: open box, add 1 02
        = bob message 0, bob message 1
        ann: open box, add 2 03
        = ann message 0, ann message 1, ann message 2
        bob: add 3 04
        = bob message 3
        bob: gone
        bob: open box
        = bob message 0, bob message 1, bob message 2, bob message 3
    """,
    "its mailboxes are not kept": """
        ann: open other
        restart
        = ann CUT
        bob: hello
        wait 301
        bob: open box
        carol: open third
        wait 1000
        bob: add 0 01
        = bob message 0
    """,
    "a clock that goes back": """
        ann: open box, add 0 01
        back 5
        ann: add 1 02
        wait 0.5
        bob: open box
        = ann message 0, ann message 1, bob message 1, bob message 0
    """,
}
