"""How a service's items are written for people, also after others have joined the catalogue."""

from __future__ import annotations

from latentcrs.recommend.catalogue_text import CatalogueText
from latentcrs.serve.service import Service


class ShownItems:
    """The `CatalogueText` of a service's catalogue as it stands."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @property
    def display(self) -> CatalogueText:
        """Another one where items have joined since, or another bundle has taken the place of the old one."""
        return self.service.catalogue.display

    def year(self, item_id: str) -> int | None:
        """An item's year; None where there is none, or no such item any more."""
        display = self.display
        try:
            return None if display.year is None else display.facts(item_id)[display.year]
        except KeyError:
            return None
