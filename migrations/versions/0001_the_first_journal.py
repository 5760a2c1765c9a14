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
        "keys",
        sa.Column("id", sa.String(8), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
    )
    op.create_table(
        "batches",
        sa.Column("id", row_id, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint("name", name="uq_batches_name"),
    )
    op.create_table(
        "workers",
        sa.Column("id", row_id, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "flows",
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
        sa.PrimaryKeyConstraint("id", name="pk_flows"),
        sa.UniqueConstraint("uid", name="uq_flows_uid"),
        sa.UniqueConstraint("batch_id", "name", name="uq_flows_batch_id_name"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_flows_batch_id_batches"),
        sa.ForeignKeyConstraint(["owner"], ["workers.id"], name="fk_flows_owner_workers"),
    )
    op.create_index(
        "ix_flows_unfinished",
        "flows",
        ["owner"],
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_flows_requests",
        "flows",
        ["owner"],
        sqlite_where=sa.text("request IS NOT NULL"),
        postgresql_where=sa.text("request IS NOT NULL"),
    )
    op.create_table(
        "entries",
        sa.Column("id", row_id, nullable=False),
        sa.Column("flow_id", row_id, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("worker", sa.BigInteger),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("heard", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
        sa.UniqueConstraint("flow_id", "seq", name="uq_entries_flow_id_seq"),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_entries_flow_id_flows"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", row_id, nullable=False),
        sa.Column("flow_id", row_id, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("arguments", sa.LargeBinary, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.UniqueConstraint("flow_id", "number", name="uq_tasks_flow_id_number"),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_tasks_flow_id_flows"),
    )


def downgrade() -> None:
    op.drop_table("tasks")
    op.drop_table("entries")
    op.drop_index("ix_flows_requests", "flows")
    op.drop_index("ix_flows_unfinished", "flows")
    op.drop_table("flows")
    op.drop_table("workers")
    op.drop_table("batches")
    op.drop_table("keys")
