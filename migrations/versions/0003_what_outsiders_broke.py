"""What outsiders broke: rows that keep the cost of events constant, and trouble that is shown.

Messages in rows of their own, an index that counts finished flows, what a worker has to
say of itself, and how many processes have ended while they ran a flow.

Only additions that may be empty: a process of the previous release continues with this schema.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FINISHED = sa.text("finished_at IS NOT NULL")

ADDED = {
    "holdfast_workers": (("notice", sa.Text),),
    "holdfast_flows": (("deaths", sa.Integer),),
}

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
    op.create_table(
        "holdfast_messages",
        sa.Column("id", _Id, nullable=False),
        sa.Column("flow_id", _Id, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_id"],
            ["holdfast_flows.id"],
            name="fk_holdfast_messages_flow_id_holdfast_flows",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_messages"),
        sa.UniqueConstraint("flow_id", "number", name="uq_holdfast_messages_flow_id_number"),
    )
    op.create_index(
        "ix_holdfast_flows_finished",
        "holdfast_flows",
        ["batch_id", "finished_at", "status"],
        sqlite_where=FINISHED,
        postgresql_where=FINISHED,
    )


def downgrade() -> None:
    op.drop_index("ix_holdfast_flows_finished", "holdfast_flows")
    op.drop_table("holdfast_messages")
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.drop_column(table, name)
