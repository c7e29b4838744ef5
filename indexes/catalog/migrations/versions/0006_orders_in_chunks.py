"""How much chunks read as if they gave orders"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('chunks', sa.Column('orders', sa.Float(precision=53), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('chunks') as chunks:
        chunks.drop_column('orders')
