"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("user_id", sa.String),
        sa.Column("bundle", sa.String, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("updated", sa.DateTime, nullable=False),
        sa.Column("words", sa.String, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("session", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_index("ix_conversations_owner_updated", "conversations", ["owner", "updated"])
    op.create_index("ix_conversations_owner_user_id", "conversations", ["owner", "user_id"])
    op.create_table(
        "turns",
        sa.Column("conversation", sa.String, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("turn", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("conversation", "number", name="pk_turns"),
        sa.ForeignKeyConstraint(
            ["conversation"], ["conversations.id"], name="fk_turns_conversation", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("turns")
    op.drop_table("conversations")
