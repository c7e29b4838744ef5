"""The recall of searches in use"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('index_versions', sa.Column('recall', sa.Float(precision=53), nullable=False, server_default='0'))
    op.add_column('index_versions', sa.Column('recall_samples', sa.Integer(), nullable=False, server_default='0'))


def downgrade() -> None:
    # Not in a batch: on SQLite that makes the table anew, and what refers to it is deleted with the old one.
    op.drop_column('index_versions', 'recall_samples')
    op.drop_column('index_versions', 'recall')
