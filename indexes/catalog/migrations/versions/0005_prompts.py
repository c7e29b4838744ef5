"""Prompts, their versions, and which is in force where"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('prompts',
    sa.Column('seq', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('project', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('tests', sa.JSON(), nullable=False),
    sa.Column('created_at', sa.Float(precision=53), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_prompts')),
    sa.UniqueConstraint('id', name=op.f('uq_prompts_id')),
    sa.UniqueConstraint('project', 'name', name=op.f('uq_prompts_project_name'))
    )
    op.create_table('prompt_versions',
    sa.Column('seq', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('prompt_id', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('created_at', sa.Float(precision=53), nullable=False),
    sa.ForeignKeyConstraint(['prompt_id'], ['prompts.id'], name=op.f('fk_prompt_versions_prompt_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_prompt_versions')),
    sa.UniqueConstraint('id', name=op.f('uq_prompt_versions_id')),
    sa.UniqueConstraint('prompt_id', 'number', name=op.f('uq_prompt_versions_prompt_id_number')),
    sa.UniqueConstraint('prompt_id', 'sha256', name=op.f('uq_prompt_versions_prompt_id_sha256'))
    )
    op.create_table('prompt_changes',
    sa.Column('seq', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('prompt_id', sa.String(), nullable=False),
    sa.Column('store_id', sa.String(), nullable=True),
    sa.Column('version_id', sa.String(), nullable=True),
    sa.Column('before_id', sa.String(), nullable=True),
    sa.Column('kind', sa.Enum('live', 'rolled_back', name='changekind', native_enum=False, length=16), nullable=False),
    sa.Column('actor', sa.String(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('forced', sa.Boolean(), nullable=False),
    sa.Column('report', sa.JSON(), nullable=False),
    sa.Column('created_at', sa.Float(precision=53), nullable=False),
    sa.ForeignKeyConstraint(['prompt_id'], ['prompts.id'], name=op.f('fk_prompt_changes_prompt_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['store_id'], ['stores.id'], name=op.f('fk_prompt_changes_store_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_prompt_changes')),
    sa.UniqueConstraint('id', name=op.f('uq_prompt_changes_id'))
    )
    op.create_index('ix_prompt_changes_prompt_store', 'prompt_changes', ['prompt_id', 'store_id'], unique=False)
    op.create_index(op.f('ix_prompt_changes_store_id'), 'prompt_changes', ['store_id'], unique=False)


def downgrade() -> None:
    op.drop_table('prompt_changes')
    op.drop_table('prompt_versions')
    op.drop_table('prompts')
