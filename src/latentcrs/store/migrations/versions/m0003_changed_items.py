"""Items that change while they are served: each is found by its id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from latentcrs.store.tables import json_object

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
ITEMS = sa.table("items", *(sa.column(name, sa.String) for name in ("catalogue", "number", "item", "item_id")))


def upgrade() -> None:
    op.add_column("items", sa.Column("item_id", sa.String))
    if not context.is_offline_mode():
        connection = op.get_bind()
        for row in connection.execute(sa.text("SELECT catalogue, number, item FROM items")).all():
            item_id = (json_object(row.item) or {}).get("item_id")
            if item_id is not None:
                here = (ITEMS.c.catalogue == row.catalogue) & (ITEMS.c.number == sa.literal(row.number, sa.Integer))
                connection.execute(sa.update(ITEMS).where(here).values(item_id=str(item_id)))
    op.create_index("ix_items_catalogue_item_id", "items", ["catalogue", "item_id"])


def downgrade() -> None:
    op.drop_index("ix_items_catalogue_item_id", "items")
    with op.batch_alter_table("items") as table:
        table.drop_column("item_id")
