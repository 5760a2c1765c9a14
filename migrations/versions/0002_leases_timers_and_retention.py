"""Leases and timers, flows whose code fails, and keys that are kept for a while.

Only additions that may be empty: a process of the previous release continues with this schema.
What is deleted would not have been read.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

UNFINISHED = sa.text("finished_at IS NULL")
TO_SHRED = sa.text("shred_at IS NOT NULL")

ADDED = {
    "holdfast_keys": (("fingerprint_key", sa.LargeBinary),),
    "holdfast_workers": (("lease_until", sa.Double), ("serves", sa.Text)),
    "holdfast_flows": (
        ("wake_at", sa.Double),
        ("failed_at", sa.Double),
        ("trouble", sa.Text),
        ("shred_at", sa.Double),
    ),
}


def unfinished(*columns: str) -> None:
    op.create_index(
        "ix_holdfast_flows_unfinished",
        "holdfast_flows",
        list(columns),
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    )


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
    # A flow that has ended does not keep tasks; the first release left them until a retry.
    op.execute(
        "DELETE FROM holdfast_tasks WHERE flow_id IN"
        " (SELECT id FROM holdfast_flows WHERE finished_at IS NOT NULL)"
    )
    op.drop_index("ix_holdfast_flows_unfinished", "holdfast_flows")
    unfinished("owner", "wake_at")
    op.create_index(
        "ix_holdfast_flows_to_shred",
        "holdfast_flows",
        ["shred_at"],
        sqlite_where=TO_SHRED,
        postgresql_where=TO_SHRED,
    )


def downgrade() -> None:
    op.drop_index("ix_holdfast_flows_to_shred", "holdfast_flows")
    op.drop_index("ix_holdfast_flows_unfinished", "holdfast_flows")
    unfinished("owner")
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.drop_column(table, name)
