"""Who did what: audit, tokens, bulk actions that outlive their page, workers asked to leave.

And an index for tasks that outlive their flow, whose numbers are negative.

Only additions: a process of the previous release continues with this schema.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

DETACHED = sa.text("number < 0")


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.add_column("holdfast_workers", sa.Column("drain_at", sa.Double))
    op.create_table(
        "holdfast_audit",
        sa.Column("id", row_id, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("face", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("flow_uid", sa.String(32)),
        sa.Column("name", sa.Text),
        sa.Column("batch", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_holdfast_audit_flow_uid", "holdfast_audit", ["flow_uid", "id"])
    op.create_table(
        "holdfast_tokens",
        sa.Column("id", row_id, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.Column("last_used_day", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_tokens"),
        sa.UniqueConstraint("name", name="uq_holdfast_tokens_name"),
        sa.UniqueConstraint("hash", name="uq_holdfast_tokens_hash"),
    )
    op.create_table(
        "holdfast_jobs",
        sa.Column("id", row_id, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("choice", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("face", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("runner", sa.Text),
        sa.Column("runner_until", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_jobs"),
        sa.UniqueConstraint("uid", name="uq_holdfast_jobs_uid"),
    )
    op.create_index(
        "ix_holdfast_tasks_detached",
        "holdfast_tasks",
        ["due_at"],
        sqlite_where=DETACHED,
        postgresql_where=DETACHED,
    )


def downgrade() -> None:
    op.drop_index("ix_holdfast_tasks_detached", "holdfast_tasks")
    op.drop_table("holdfast_jobs")
    op.drop_table("holdfast_tokens")
    op.drop_index("ix_holdfast_audit_flow_uid", "holdfast_audit")
    op.drop_table("holdfast_audit")
    op.drop_column("holdfast_workers", "drain_at")
