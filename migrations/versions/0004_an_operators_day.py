"""An operator's day: finding flows among very many, and bulk actions that outlive their process.

Only additions: a process of the previous release continues with this schema.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FINISHED = sa.text("finished_at IS NOT NULL")


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "holdfast_plans",
        sa.Column("id", row_id, nullable=False),
        sa.Column("plan", sa.String(32), nullable=False),
        sa.Column("flow_id", row_id, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("planned_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_plans"),
        sa.UniqueConstraint("plan", "flow_id", name="uq_holdfast_plans_plan_flow_id"),
    )
    op.create_index(
        "ix_holdfast_flows_ended",
        "holdfast_flows",
        ["status", "finished_at", "id"],
        sqlite_where=FINISHED,
        postgresql_where=FINISHED,
    )


def downgrade() -> None:
    op.drop_index("ix_holdfast_flows_ended", "holdfast_flows")
    op.drop_table("holdfast_plans")
