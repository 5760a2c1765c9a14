"""The first journal."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "holdfast_keys",
        sa.Column("id", sa.String(8), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_keys"),
    )
    op.create_table(
        "holdfast_batches",
        sa.Column("id", row_id, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_batches"),
        sa.UniqueConstraint("name", name="uq_holdfast_batches_name"),
    )
    op.create_table(
        "holdfast_workers",
        sa.Column("id", row_id, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_workers"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "holdfast_flows",
        sa.Column("id", row_id, nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("batch_id", row_id, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("owner", row_id),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("request", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("params", sa.LargeBinary),
        sa.Column("checkpoint", sa.LargeBinary),
        sa.Column("published", sa.LargeBinary),
        sa.Column("data_key", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_flows"),
        sa.UniqueConstraint("uid", name="uq_holdfast_flows_uid"),
        sa.UniqueConstraint("batch_id", "name", name="uq_holdfast_flows_batch_id_name"),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["holdfast_batches.id"],
            name="fk_holdfast_flows_batch_id_holdfast_batches",
        ),
        sa.ForeignKeyConstraint(
            ["owner"], ["holdfast_workers.id"], name="fk_holdfast_flows_owner_holdfast_workers"
        ),
    )
    op.create_index(
        "ix_holdfast_flows_unfinished",
        "holdfast_flows",
        ["owner"],
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_holdfast_flows_requests",
        "holdfast_flows",
        ["owner"],
        sqlite_where=sa.text("request IS NOT NULL"),
        postgresql_where=sa.text("request IS NOT NULL"),
    )
    op.create_table(
        "holdfast_entries",
        sa.Column("id", row_id, nullable=False),
        sa.Column("flow_id", row_id, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("worker", sa.BigInteger),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("heard", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_entries"),
        sa.UniqueConstraint("flow_id", "seq", name="uq_holdfast_entries_flow_id_seq"),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["holdfast_flows.id"], name="fk_holdfast_entries_flow_id_holdfast_flows"
        ),
    )
    op.create_table(
        "holdfast_tasks",
        sa.Column("id", row_id, nullable=False),
        sa.Column("flow_id", row_id, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("arguments", sa.LargeBinary, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holdfast_tasks"),
        sa.UniqueConstraint("flow_id", "number", name="uq_holdfast_tasks_flow_id_number"),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["holdfast_flows.id"], name="fk_holdfast_tasks_flow_id_holdfast_flows"
        ),
    )


def downgrade() -> None:
    op.drop_table("holdfast_tasks")
    op.drop_table("holdfast_entries")
    op.drop_index("ix_holdfast_flows_requests", "holdfast_flows")
    op.drop_index("ix_holdfast_flows_unfinished", "holdfast_flows")
    op.drop_table("holdfast_flows")
    op.drop_table("holdfast_workers")
    op.drop_table("holdfast_batches")
    op.drop_table("holdfast_keys")
