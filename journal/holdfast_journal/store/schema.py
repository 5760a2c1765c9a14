"""The tables, as SQLAlchemy Core sees them.

Nothing here creates a table: migrations/ is the only way to a schema, and a test compares the two.

- Every name begins with `holdfast_`: an application may keep its own tables in the same database,
  to change them in the same transaction.
- Times are seconds since the epoch, as floats. `uid` is 32 random hex digits.
- `sealed` columns hold what `sealing` made; they mean nothing without the master key.
- (flow_id, seq) is unique: if two owners race, the database refuses the loser, without a check of
  ours. `entries` keeps arrival order on disk, so that group commit appends.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from holdfast_journal.statuses import FlowStatus

VERSION_TABLE = "holdfast_version"
"""Where alembic notes the migration that the database is at."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every migration that this release knows, oldest first; a test compares with migrations/."""

NEW = FlowStatus.NEW.value
"""The status of a flow before its first event."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column that is exactly INTEGER PRIMARY KEY.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _partial(name: str, *columns: str, where: str) -> Index:
    # It is the same on PostgreSQL. But to say so here would import its dialect, which costs a
    # command on SQLite a tenth of its start; a test compares with the migrations.
    return Index(name, *columns, sqlite_where=text(where))


keys = Table(
    "holdfast_keys",
    metadata,
    # Identifiers of the master keys in use, so that a wrong key is noticed before anything is done.
    Column("id", String(8), primary_key=True),
    Column("created_at", Double, nullable=False),
    # What fingerprints are made with, sealed under this master key; the same under each of them.
    Column("fingerprint_key", LargeBinary),
)

batches = Table(
    "holdfast_batches",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
)

workers = Table(
    "holdfast_workers",
    metadata,
    # Rows are never deleted while entries name the worker that wrote them; ids are never reused.
    Column("id", _Id, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    # Until when other workers see this one as alive, by the database's clock. NULL: by its lock.
    Column("lease_until", Double),
    # A JSON list of the kinds of flows that it shares with other workers; NULL: it shares none.
    Column("serves", Text),
    # What operators must know of it now, in words; NULL: nothing.
    Column("notice", Text),
    # Since when an operator wants it to give back its flows and end. NULL: nobody does.
    Column("drain_at", Double),
    sqlite_autoincrement=True,
)

flows = Table(
    "holdfast_flows",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("uid", String(32), nullable=False, unique=True),
    Column("batch_id", _Id, ForeignKey("holdfast_batches.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("attempt", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", _Id, ForeignKey("holdfast_workers.id")),
    Column("seq", BigInteger, nullable=False),
    Column("request", Text),
    # No worker takes a flow before this, unless something was asked of it. NULL: at any time.
    # A negative number: the flow is watched, until the time without the minus; see `resting`.
    Column("wake_at", Double),
    # How often its own code has raised recently, when it did so last, and where.
    Column("failures", Integer, nullable=False),
    Column("failed_at", Double),
    Column("trouble", Text),
    # How many workers in a row died soon after they had taken it; see `suspects`. NULL: none.
    Column("deaths", Integer),
    # Which watcher has it watched, by which keyed hash it is found when something has come, and at
    # which revision the server confirmed that; see `watching`. NULL: none, or not confirmed yet.
    Column("watcher", _Id),
    Column("watch", String(32)),
    Column("watch_revision", BigInteger),
    # When a finished flow's data key is to be deleted. NULL: it is already, or is kept for `retry`.
    Column("shred_at", Double),
    Column("fingerprint", Text),
    Column("params", LargeBinary),  # sealed
    Column("checkpoint", LargeBinary),  # sealed
    Column("published", LargeBinary),  # sealed JSON
    Column("data_key", LargeBinary),  # sealed under a master key; NULL: shredded
    UniqueConstraint("batch_id", "name"),
    # For take(), requests() and shredding: they stay small as finished flows pile up.
    _partial(
        "ix_holdfast_flows_unfinished",
        "owner",
        "wake_at",
        where="finished_at IS NULL",
    ),
    # For an arrival, and for what a server has forgotten.
    _partial(
        "ix_holdfast_flows_watch",
        "watch",
        where="watch IS NOT NULL",
    ),
    _partial(
        "ix_holdfast_flows_watcher",
        "watcher",
        "watch_revision",
        where="watch IS NOT NULL",
    ),
    # For counting finished flows, and finding the last of them, without reading their rows.
    _partial(
        "ix_holdfast_flows_finished",
        "batch_id",
        "finished_at",
        "status",
        where="finished_at IS NOT NULL",
    ),
    # For finding the last that ended in some way. It is partial, since a larger one would lead the
    # planner through all finished flows where it is asked for the others.
    _partial(
        "ix_holdfast_flows_ended",
        "status",
        "finished_at",
        "id",
        where="finished_at IS NOT NULL",
    ),
    _partial(
        "ix_holdfast_flows_requests",
        "owner",
        where="request IS NOT NULL",
    ),
    _partial(
        "ix_holdfast_flows_to_shred",
        "shred_at",
        where="shred_at IS NOT NULL",
    ),
)

entries = Table(
    "holdfast_entries",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("flow_id", _Id, ForeignKey("holdfast_flows.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("worker", BigInteger),
    Column("kind", Text, nullable=False),
    Column("heard", Text, nullable=False),
    Column("said", Text, nullable=False),  # a JSON list of strings
    Column("event", LargeBinary, nullable=False),  # sealed
    UniqueConstraint("flow_id", "seq"),
)

tasks = Table(
    "holdfast_tasks",
    metadata,
    # A negative number marks a task that is detached, and outlives its flow; see `detached`.
    Column("id", _Id, primary_key=True),
    Column("flow_id", _Id, ForeignKey("holdfast_flows.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("arguments", LargeBinary, nullable=False),  # sealed
    Column("key", Text, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    UniqueConstraint("flow_id", "number"),
    # Tasks with negative numbers outlive their flow; engines look for those that are due.
    _partial(
        "ix_holdfast_tasks_detached",
        "due_at",
        where="number < 0",
    ),
)

messages = Table(
    "holdfast_messages",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("flow_id", _Id, ForeignKey("holdfast_flows.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # sealed
    UniqueConstraint("flow_id", "number"),
)

plans = Table(
    "holdfast_plans",
    metadata,
    # What is still to be done of something that an operator asked of many flows at once. `plan` is
    # a hash of what was asked: the same command finds what a process has left that was killed.
    Column("id", _Id, primary_key=True),
    Column("plan", String(32), nullable=False),
    # No foreign key: a flow may be purged meanwhile.
    Column("flow_id", _Id, nullable=False),
    # Only this attempt is meant.
    Column("attempt", Integer, nullable=False),
    Column("planned_at", Double, nullable=False),
    UniqueConstraint("plan", "flow_id"),
)

audit = Table(
    "holdfast_audit",
    metadata,
    # What operators did. A row stands here if, and only if, what it tells of was committed.
    Column("id", _Id, primary_key=True),
    Column("at", Double, nullable=False),
    # Who, from where (a host or an address), and by which face: a command, a page, the API.
    Column("who", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("face", Text, nullable=False),
    Column("action", Text, nullable=False),
    # What it was done to. Copies, since a flow may be purged; NULL: not to one flow.
    Column("flow_uid", String(32)),
    Column("name", Text),
    Column("batch", Text),
    # What exactly, in words, without any secret; and the operator's own reason.
    Column("detail", Text, nullable=False),
    Column("why", Text, nullable=False),
    # For the story of one flow.
    Index("ix_holdfast_audit_flow_uid", "flow_uid", "id"),
    sqlite_autoincrement=True,
)

tokens = Table(
    "holdfast_tokens",
    metadata,
    # By which people and programs show who they are to the console and the API.
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    # SHA-256 of the token, in hex: what is stored here opens nothing.
    Column("hash", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    # A day, so that a token that is used often costs a write a day. Days since the epoch.
    Column("last_used_day", Integer),
)

jobs = Table(
    "holdfast_jobs",
    metadata,
    # What was asked of many flows in a console, which goes on with it after it was killed.
    Column("id", _Id, primary_key=True),
    # Also the name of its plan in `plans`.
    Column("uid", String(32), nullable=False, unique=True),
    Column("what", Text, nullable=False),
    # JSON: which flows were chosen, and what else was said.
    Column("choice", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    # As in `audit`.
    Column("who", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("face", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("state", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    # A JSON list of strings: why some were refused; the first few.
    Column("notes", Text, nullable=False),
    # Which process carries it out, and until when others leave it alone.
    Column("runner", Text),
    Column("runner_until", Double),
)

watchers = Table(
    "holdfast_watchers",
    metadata,
    # All workers of this database, as one mailbox server knows them for one application.
    Column("id", _Id, primary_key=True),
    # A keyed hash of the server's URL and the appid.
    Column("uid", String(32), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("url", LargeBinary, nullable=False),  # sealed, as in keys/watching.py
    Column("appid", LargeBinary, nullable=False),  # sealed
    Column("name", LargeBinary, nullable=False),  # sealed: whoever knows it hears of every arrival
    sqlite_autoincrement=True,
)

DAMAGED = FlowStatus.DAMAGED.value
"""The status of a flow whose saved state cannot be read."""

DONE = FlowStatus.DONE.value
"""The status that cannot be retried."""
