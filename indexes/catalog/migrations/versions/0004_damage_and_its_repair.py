"""Index versions that were damaged, and are being restored"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('index_versions', sa.Column('damaged', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('index_versions', sa.Column('restoring_since', sa.Float(precision=53), nullable=True))


def downgrade() -> None:
    # Not in a batch: on SQLite that makes the table anew, and what refers to it is deleted with the old one.
    op.drop_column('index_versions', 'restoring_since')
    op.drop_column('index_versions', 'damaged')
