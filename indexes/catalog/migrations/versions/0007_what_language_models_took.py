"""What language models took by day"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('spending',
    sa.Column('day', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('llm', sa.String(), nullable=False),
    sa.Column('tokens', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'llm', name=op.f('pk_spending'))
    )


def downgrade() -> None:
    op.drop_table('spending')
