"""What is asked of a served bundle without a conversation: its items, and recommendations."""

from collections.abc import Sequence
from typing import Any

from latentcrs.data.rules import Rule
from latentcrs.llm.model import encodable
from latentcrs.recommend import Recommendation, Recommender
from latentcrs.recommend.policy import Policies, Policy
from latentcrs.serve.bounds import bounded, searched
from latentcrs.serve.catalogue import CatalogueView
from latentcrs.serve.growing import PATIENCE
from latentcrs.serve.people import People, named
from latentcrs.serve.served import ServedBundle
from latentcrs.store.session import Session


class ItemService:
    """The catalogue of a bundle, for many people at once. policies: what the operator says."""

    served: ServedBundle
    policies: Policies

    @property
    def recommender(self) -> Recommender:
        """Over the catalogue as it stands; another one when items join it, or another bundle takes its place."""
        return self.served.recommender

    @property
    def catalogue(self) -> CatalogueView:
        """The catalogue as it stands."""
        return self.served.catalogue

    @property
    def people(self) -> People:
        """The users of the bundle."""
        return self.served.people

    def current(self) -> ServedBundle:
        """The bundle that is served, with the items that joined its catalogue in other processes."""
        served = self.served
        served.growing.catch_up(PATIENCE)
        return served

    def recommend(
        self,
        *,
        history: Sequence[str] = (),
        user: str | None = None,
        owner: str = "",
        request: str = "",
        k: int = 5,
        where: Sequence[Rule] = (),
        exclude: Sequence[str] = (),
        policy: Policy | None = None,
        sort: tuple[str, bool] | None = None,
    ) -> list[Recommendation]:
        """The best k items that pass `where`; `history` (oldest first) comes behind that of `user`. `policy`: beside
        that of the owner. `sort`: see `Recommender.recommend`.

        Raises:
            UserError: an item that does not exist, or a rule that does not fit the catalogue.
        """
        served = self.current()
        session = Session(user=user, history=[] if user is None else served.people.trained(owner, named(user)))
        session.history = list(dict.fromkeys([*session.history, *map(str, history)]))
        if user is not None:
            served.people.bring_in(owner, session)
        left_out = [*exclude, *session.seen, *session.refused]
        policy = self.policies.of(owner) | (policy or Policy())
        policy.check(served.recommender)
        return served.recommender.recommend(
            session.history, encodable(request), k, bounded(where), left_out, policy=policy, sort=sort
        )

    def similar(self, item_id: str, k: int = 5, owner: str = "") -> list[Recommendation]:
        """Items like one. Raises `NotFound` where there is no such item; see `CatalogueView.similar`."""
        return self.current().catalogue.similar(item_id, k, self.policies.of(owner).always)

    def search(self, words: str, where: Sequence[Rule] = (), k: int = 10, owner: str = "") -> list[dict[str, Any]]:
        """Items (column -> value) by words of their titles and texts; see `CatalogueView.search`."""
        rules = [*bounded(where), *self.policies.of(owner).always]
        return self.current().catalogue.search(searched(encodable(words)), rules, k)

    def item(self, item_id: str) -> dict[str, Any]:
        """All that the catalogue says of an item. Raises `NotFound` where there is no such item."""
        return self.current().catalogue.row(item_id)

    def add_items(self, rows: list[dict[str, Any]]) -> int:
        """See `GrowingCatalogue.add`."""
        return self.served.growing.add(rows)

    def change_items(self, rows: Sequence[dict[str, Any]]) -> None:
        """See `GrowingCatalogue.change`."""
        self.served.growing.change(rows)

    def put_items(self, rows: Sequence[dict[str, Any]]) -> tuple[int, int]:
        """See `GrowingCatalogue.put`."""
        return self.current().growing.put(rows)
