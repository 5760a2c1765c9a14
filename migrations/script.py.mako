"""${message}.

Rules for a migration that nobody notices:
- Never edit a migration that was released: add another. Number it one up from the last, as text
  ("0002"), and add the number to REVISIONS in holdfast_journal/schema.py.
- Do not import the schema: it will move on, and this file must not.
- Add columns as nullable or with a server default, so that old rows stay valid.
- SQLite alters a table by copying it: `with op.batch_alter_table(...)`.
- On PostgreSQL fill large tables in small steps, and create indexes concurrently.
- What is sealed stays sealed: a migration has no keys.
- Write the downgrade, and a test with rows in it before and checks after.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

${imports if imports else ""}
revision: str = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}
branch_labels: Sequence[str] | None = ${repr(branch_labels)}
depends_on: Sequence[str] | None = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
