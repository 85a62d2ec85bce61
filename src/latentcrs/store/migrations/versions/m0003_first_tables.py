"""The first tables that were released; the numbers before are of development."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", None


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
    op.create_table(
        "events",
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("catalogue", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("item_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("owner", "catalogue", "user_id", "item_id", name="pk_events"),
    )
    op.create_table(
        "items",
        sa.Column("catalogue", sa.String, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("item", sa.JSON, nullable=False),
        sa.Column("item_id", sa.String),
        sa.PrimaryKeyConstraint("catalogue", "number", name="pk_items"),
    )
    op.create_index("ix_items_catalogue_item_id", "items", ["catalogue", "item_id"])


def downgrade() -> None:
    for table in ("items", "events", "turns", "conversations"):
        op.drop_table(table)
