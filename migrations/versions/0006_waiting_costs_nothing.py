"""Waiting costs nothing: which flows a mailbox server watches for us, and under which names.

Only additions: a process of the previous release continues with this schema. It takes watched
flows as it takes all others: their `wake_at` is a negative number.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INDEXES = {
    "ix_holdfast_flows_watch": (["watch"], "watch IS NOT NULL"),
    "ix_holdfast_flows_watcher": (["watcher", "watch_revision"], "watch IS NOT NULL"),
}


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "holdfast_watchers",
        sa.Column("id", row_id, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("url", sa.LargeBinary, nullable=False),
        sa.Column("appid", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_watchers"),
        sa.UniqueConstraint("uid", name="uq_holdfast_watchers_uid"),
        sqlite_autoincrement=True,
    )
    op.add_column("holdfast_flows", sa.Column("watcher", row_id))
    op.add_column("holdfast_flows", sa.Column("watch", sa.String(32)))
    op.add_column("holdfast_flows", sa.Column("watch_revision", sa.BigInteger))
    for name, (columns, where) in INDEXES.items():
        op.create_index(
            name,
            "holdfast_flows",
            columns,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )


def downgrade() -> None:
    for name in reversed(INDEXES):
        op.drop_index(name, "holdfast_flows")
    for column in ("watch_revision", "watch", "watcher"):
        op.drop_column("holdfast_flows", column)
    op.drop_table("holdfast_watchers")
