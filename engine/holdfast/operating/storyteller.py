"""`Storyteller`: makes the steps of a flow's story from its entries, one after the other.

What some entries mean shows later: whether a code was right, for example, by what followed. Such a
step waits until that is clear, and the steps behind it wait with it.

An entry that is not understood is passed over or told in its own words, and is never an error: it
may be of another release, or have been altered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, evolve, field

from holdfast.operating.standing import shown_word, went_badly
from holdfast.operating.story_words import (
    KINDS,
    LEFT,
    MESSAGE,
    OTHER,
    PEER_SAID,
    REPORTS,
    RETRIED,
    SAID_MESSAGE,
    TASK,
    TOLD_AS_IT_IS,
    TRY,
    Doubt,
    Kind,
    Mood,
    Step,
)
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import EntryRow, FlowRow


@define
class _Scene:
    """What is known of the present wormhole."""

    opening: str = ""
    """What to say once its code works."""
    works: bool = False
    came: bool = False
    """Whether its peer has come."""
    sent: int = -1
    """The highest number of a message that was sent."""
    answered: bool = False
    told: set[str] = field(factory=set)
    """Reports of its activity that are steps once only."""
    tries: dict[str, str] = field(factory=dict)
    """For each task that was begun again, what to say of its present try."""


@define
class Storyteller:
    """Tells one flow's story; hand it all entries in order.

    Args:
        kind: the flow's.
    """

    kind: str
    is_over: bool = field(default=False, init=False)
    """Whether the end was told."""
    _scene: _Scene = field(factory=_Scene, init=False)
    _worker: int | None = field(default=None, init=False)
    _is_away: bool = field(default=False, init=False)
    """Whether the mailbox server cannot be reached."""
    _waiting: list[tuple[Step, Doubt | None]] = field(factory=list, init=False)
    """What is not told yet: the first is a doubt, if there are any."""
    _entry: EntryRow | None = field(default=None, init=False)
    _told_at: float | None = field(default=None, init=False)

    def hear(self, entry: EntryRow) -> list[Step]:
        """Return the steps that are clear now."""
        self._entry = entry
        if entry.worker is not None:
            if self._worker not in (None, entry.worker):
                self._step(f"worker {entry.worker} goes on with it")
            self._worker = entry.worker
        self._hear(entry)
        for words in entry.said:
            self._say(words)
        return self._clear_ones()

    def settle(self, row: FlowRow) -> list[Step]:
        """Return what is clear by the flow's row, which must be as its last entry has left it."""
        published = row.published or {}
        if row.finished_at is not None:
            self._end(row.status)
        elif row.status == FlowStatus.EXCHANGING:
            self._decide(good=True)
        elif row.status == FlowStatus.CLOSING and (published.keys() & {"collected", "reason"}):
            # It ends, and only the server must still hear of it.
            self._decide("collected" in published, answers=True)
        steps = self._clear_ones()
        if row.finished_at is None or self.is_over:
            return steps
        self.is_over = True
        word, reason = shown_word(row.status), published.get("reason")
        what = f"ended: {word}" + (f": {reason}" if reason else "")
        mood = Mood.BAD if went_badly(word) else Mood.PLAIN
        if row.status == FlowStatus.DONE:
            mood = Mood.GOOD
        end = Step(row.finished_at, None, what, mood, row.seq, row.owner)
        return [*steps, self._timed(end)]

    # What came in.

    def _hear(self, entry: EntryRow) -> None:
        heard, kind = entry.heard, entry.kind
        if self._is_away and (heard.startswith("server: ") or kind == "resume"):
            self._is_away = False
            self._step("the mailbox server is there again")
        if kind == "message":
            self._message(heard)
        elif kind == "task":
            self._task(heard)
        elif kind == "activity":
            self._activity(heard)
        elif kind == "dilation":
            self._dilation(heard)
        elif kind == "no-server" and not self._is_away:
            self._is_away = True
            reason = heard.removeprefix("no server: ")
            self._step(f"the mailbox server cannot be reached: {reason}", Mood.BAD)
        elif kind in TOLD_AS_IT_IS:
            self._step(heard.partition(": ")[2] or heard, TOLD_AS_IT_IS[kind])
        else:
            self._turn(kind, heard)

    def _turn(self, kind: str, heard: str) -> None:
        """Where a flow or its wormhole begins, ends or takes another way."""
        if kind == "start":
            self._step("started")
        elif kind == "retried":
            was = RETRIED.fullmatch(heard)
            self._end(was[1] if was else "")
            self._begin_anew()
            words = f"{was[2]}, after it had ended: {shown_word(was[1])}" if was else heard
            self._step(f"retried: {words}")
        elif kind == "reopening":
            reason = heard.removeprefix("flow: ").partition("; the code will be")[0]
            guess = reason.removeprefix("wrong code, ")
            self._decide(good=guess == reason)
            why = reason if guess == reason else f"that was {guess}"
            self._step(f"{why}; the same code will open again", Mood.BAD)
        elif kind == "reopened":
            self._begin_anew()
            self._scene.opening = "the same code works again"
        elif kind == "deadline":
            did = (
                "taken the deadline away"
                if heard.endswith("no deadline")
                else "set another deadline"
            )
            self._step(f"the operator has {did}")
        elif kind == "cancel":
            self._step("cancelled by the operator")
        elif kind in ("allocate", "set", "choose-words", "type") and not self._scene.opening:
            made = "code made"
            self._scene.opening = made if kind == "allocate" else self._own.opened
        elif kind == "claimed" and self._own.receives:
            self._code_works()
        elif kind == "missing":
            self._scene.works, self._scene.opening = False, "the code works again"
            self._step("the mailbox server had forgotten the mailbox")
        elif kind == "dilate":
            self._step(f"a direct connection to the {self._own.peer} is wanted")

    def _message(self, heard: str) -> None:
        scene, own = self._scene, self._own
        if heard == "server: has stored our pake":
            self._code_works()
        if (said := PEER_SAID.fullmatch(heard)) is None:
            return
        if said["phase"] == "pake" and not scene.came:
            scene.came = True
            self._step(f"{own.peer} came")
        elif said["phase"] == "version":
            self._step("", doubt=Doubt("code right", "code wrong"))
        elif (number := MESSAGE.fullmatch(said["phase"])) is not None:
            self._decide(good=True)
            if own.numbers:
                self._step(f"message {number['number']} came, {said['size']} bytes")
            elif own.answer is not None and not scene.answered:
                scene.answered = True
                self._step("", doubt=own.answer)

    def _code_works(self) -> None:
        if not self._scene.works:
            self._scene.works = True
            self._step(self._scene.opening or self._own.opened)

    def _task(self, heard: str) -> None:
        if (task := TASK.fullmatch(heard)) is None:
            return
        name, what = f"task {task['name']}", task["what"]
        tries = self._scene.tries
        if (begun := TRY.fullmatch(what)) is not None:
            if begun["number"] != "1":
                tries[name] = f", try {begun['number']}"
            return  # how it ends is what is told
        name += tries.get(name, "")
        if what == "done":
            self._step(f"{name} done", Mood.GOOD)
        elif what.endswith("; will be tried again"):
            self._step(f"{name} failed: {what.removesuffix('; will be tried again')}", Mood.BAD)
        elif what.endswith("; given up"):
            self._step(f"{name} failed for good: {what.removesuffix('; given up')}", Mood.BAD)
        else:
            self._step(f"{name} {what}")

    def _activity(self, heard: str) -> None:
        self._decide(good=True)
        if heard not in REPORTS:
            self._step(heard)
        elif (known := REPORTS[heard]) is not None:
            once = heard == "sending: listening"  # after each restart, and then it is offered
            if not (once and heard in self._scene.told):
                self._step(*known)
            self._scene.told.add(heard)

    def _dilation(self, heard: str) -> None:
        parts = heard.removeprefix("subchannels: ").split(", ")
        if "connected" in parts:
            self._step(f"connected directly to the {self._own.peer}", Mood.GOOD)
        elif "not connected" in parts:
            self._step("direct connection lost", Mood.BAD)

    # What went out.

    def _say(self, words: str) -> None:
        if words.startswith(LEFT):
            mood = words.removeprefix(LEFT)
            self._decide(good=mood != "scary")
        elif (said := SAID_MESSAGE.fullmatch(words)) is not None:
            self._sent(int(said["number"]), said["size"])
        elif (task := TASK.fullmatch(words)) is not None:
            self._decide(good=True)
            self._step(f"task {task['name']} {task['what']}")

    def _sent(self, number: int, size: str) -> None:
        self._decide(good=True)
        if number <= self._scene.sent:  # once more, on another connection
            return
        first, self._scene.sent = self._scene.sent < 0, number
        if self._own.numbers:
            self._step(f"message {number} sent, {size} bytes")
        elif first and self._own.sent:
            self._step(self._own.sent)

    # What becomes a step.

    @property
    def _own(self) -> Kind:
        return KINDS.get(self.kind, OTHER)

    def _begin_anew(self) -> None:
        self._end("")
        self._scene, self.is_over = _Scene(), False

    def _step(self, what: str, mood: Mood = Mood.PLAIN, *, doubt: Doubt | None = None) -> None:
        if self._entry is not None:
            entry = self._entry
            step = Step(entry.at, None, what, mood, entry.seq, entry.worker)
            self._waiting.append((step, doubt))

    def _end(self, status: str) -> None:
        """The flow has ended with this status, a word of the database: nothing is in doubt now."""
        self._decide({FlowStatus.SCARED.value: False, FlowStatus.DONE.value: True}.get(status))
        answer = {FlowStatus.FAILED.value: False, FlowStatus.DONE.value: True}.get(status)
        self._decide(answer, answers=True)

    def _decide(self, good: bool | None, *, answers: bool = False) -> None:  # noqa: FBT001
        """Settle what is in doubt about the code, or about answers; None: nobody will ever know."""
        for place, (step, doubt) in enumerate(self._waiting):
            if doubt is not None and doubt.by_end == answers:
                what = {True: doubt.good, False: doubt.bad, None: ""}[good]
                mood = Mood.GOOD if good else Mood.BAD
                self._waiting[place] = evolve(step, what=what, mood=mood), None

    def _clear_ones(self) -> list[Step]:
        clear = []
        while self._waiting and self._waiting[0][1] is None:
            step, _ = self._waiting.pop(0)
            if step.what:
                clear.append(self._timed(step))
        return clear

    def _timed(self, step: Step) -> Step:
        before, self._told_at = self._told_at, step.at
        return evolve(step, after=None if before is None else max(0.0, step.at - before))
