"""What outsiders broke: what a worker has to say of itself, and whose code ends processes.

Only additions that may be empty: a process of the release before goes on with this schema.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

ADDED = {
    "holdfast_workers": (("notice", sa.Text),),
    "holdfast_flows": (("deaths", sa.Integer),),
}


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))


def downgrade() -> None:
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.drop_column(table, name)
