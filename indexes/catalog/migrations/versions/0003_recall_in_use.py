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
    with op.batch_alter_table('index_versions') as versions:
        versions.drop_column('recall_samples')
        versions.drop_column('recall')
