"""Running a flow once, so that what libraries make at the first use is there: see `fork_server`.

SQLAlchemy compiles statements, cattrs makes converters, and the interpreter adapts its own code. A
fork that runs a flow needs a quarter less if all that was done before it.
"""

import contextlib
import sys

import attrs
from cattrs.errors import StructureHandlerNotFoundError

import holdfast
from holdfast.core.documents import converter
from holdfast.flows import base, document
from holdfast.operating.hooks import untold
from holdfast.operating.one_flow import rows_of
from holdfast.operating.own_flows import ship
from holdfast.testing.world import BATCH, World
from holdfast_journal import Filter, Sort

KIND = "warming"

DOCUMENTS = ("holdfast.core.", "holdfast.dilation.", "holdfast.shell.dilating")
"""Modules of which some classes are converted to JSON and back."""


def run_a_flow():
    """Let a flow talk to its peer, in a world without sockets; nothing of it is left."""

    @holdfast.flow(KIND, appid="example.com/warming")
    class Warming(holdfast.Flow):
        def started(self):
            self.wormhole.allocate_code()

        def wormhole_got_code(self, code):
            self.publish(code=code)

        def wormhole_got_versions(self, _versions):
            self.wormhole.send_message(b"hello")

        def wormhole_got_message(self, _message):
            self.wormhole.close()

    with World() as world:
        world.add(Warming())
        world.serve(batch=BATCH, names={"flow"}, serve=[KIND])
        code = world.code()
        world.restart()
        world.peer(code, lambda peer, message: peer.send(message))
        read(world.journal)
        world.until(world.finished)
        read(world.journal)
    del base._kinds[KIND]


def read(journal):
    """Ask what commands ask: those that serve flows, and those that show them."""
    for names in (None, {"flow"}):
        seen = journal.poll(BATCH, None, names=names).seen
        journal.poll(BATCH, seen, names=names)
        untold(journal, BATCH, names)
    journal.asked_to_leave()
    rows_of(journal, BATCH, "none")
    for chosen in (Filter(), Filter(batch=BATCH)):
        journal.groups(chosen)
        journal.counts()
        for sort in Sort:
            journal.page(chosen, sort, limit=1)
    journal.serving()
    journal.notices()


def make_converters():
    """Make the converters of flows and wormholes, of whatever kind."""
    ship()
    kinds = [
        kind
        for module in tuple(sys.modules.values())
        if module.__name__.startswith(DOCUMENTS)
        for kind in vars(module).values()
        if isinstance(kind, type) and attrs.has(kind) and kind.__module__ == module.__name__
    ]
    for flow in base._kinds.values():
        document._writer(flow)
        document._reader(flow)
    converter.unstructure([{}])
    # Making the first one for a kind of list or dict, cattrs forgets all others: so again.
    for kind in (*kinds, *kinds):
        # Whatever is no document has fields that are nothing in JSON.
        with contextlib.suppress(StructureHandlerNotFoundError, NameError, TypeError):
            converter.get_unstructure_hook(kind)
            converter.get_structure_hook(kind)
