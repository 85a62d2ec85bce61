"""What people do between conversations, and items that joined a catalogue after training."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
        sa.PrimaryKeyConstraint("catalogue", "number", name="pk_items"),
    )


def downgrade() -> None:
    op.drop_table("items")
    op.drop_table("events")
