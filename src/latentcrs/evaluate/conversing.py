"""Systems in conversation with many simulated users at once: LatentCRS and what it is compared with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from latentcrs.converse.conversation import Conversation, PendingTurn
from latentcrs.data import Histories
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.hear import Extractor
from latentcrs.llm import ChatModel
from latentcrs.recommend import Query, Recommendation, Recommender
from latentcrs.recommend.explain import Reason
from latentcrs.recommend.index import ItemIndex, ScoreRows
from latentcrs.store.session import Session, Variant
from latentcrs.text import embed
from latentcrs.users.dialogue import Dialogue, Question, SystemTurn

SHOWN = 5
"""Items in each turn (section 5.5)."""


class BundleDialogues:
    """The conversations that people have, advanced together: a turn's utterances are read in one batch."""

    def __init__(
        self,
        name: str,
        recommender: Recommender,
        extractor: Extractor,
        variant: Variant,
        model: ChatModel | None = None,
        asks: bool = False,
    ) -> None:
        """model: judges in variant v. asks: it asks back."""
        self.asks = asks
        self.name, self.recommender, self.extractor, self.variant = name, recommender, extractor, variant
        self.model = model
        self._item_ids: list[str] = recommender.bundle.items["item_id"].to_list()
        self._talks: dict[int, Conversation] = {}
        self._taken: dict[int, tuple[int, int]] = {}

    def meet(self, dialogues: Sequence[Dialogue]) -> None:
        """See `Conversationalist.meet`."""
        self._talks = {id(dialogue): self._conversation(dialogue) for dialogue in dialogues}
        self._taken = {id(dialogue): (0, 0) for dialogue in dialogues}

    def _conversation(self, dialogue: Dialogue) -> Conversation:
        history = [self._item_ids[number] for number in dict.fromkeys(dialogue.history.tolist())]
        session = Session(history=history, variant=self.variant, k=SHOWN)
        id = f"{self.name}:{dialogue.user}:{dialogue.cut}"
        conversation = Conversation(self.recommender, self.extractor, session, model=self.model, id=id)
        conversation.asks = self.asks
        return conversation

    def reply(self, dialogues: Sequence[Dialogue]) -> list[SystemTurn]:
        """See `Conversationalist.reply`."""
        begun = [self._talks[id(dialogue)].hear(dialogue.said[-1]) for dialogue in dialogues]
        queries = self._read([each for each in begun if each.recommends])
        answers = []
        for dialogue, each in zip(dialogues, begun, strict=True):
            turn = self._talks[id(dialogue)].answer(each, next(queries) if each.recommends else None)
            before = self._taken[id(dialogue)]
            self._taken[id(dialogue)] = (before[0] + turn.tokens[0], before[1] + turn.tokens[1])
            numbers = self.recommender.item_numbers(item.item_id for item in turn.items)
            asked = None if turn.question is None else Question(turn.question.column)
            answers.append(SystemTurn(tuple(numbers.tolist()), asked))
        return answers

    def _read(self, begun: Sequence[PendingTurn]) -> Iterator[Query]:
        pasts = [self.recommender.item_numbers(each.session.past) for each in begun]
        unliked = [self.recommender.item_numbers(each.session.unliked) for each in begun]
        liked = [self.recommender.item_numbers(each.session.alike) for each in begun]
        kept = partial(embed, encoder=self.recommender.text_encoder, name=None)
        requests = [each.session.request for each in begun]
        wordings = [each.session.wording for each in begun]
        return self.recommender.read_all(pasts, requests, unliked, kept, wordings, liked)

    def tokens(self, dialogue: Dialogue) -> tuple[int, int]:
        """See `Conversationalist.tokens`."""
        return self._taken[id(dialogue)]


class PlainRecommender(Recommender):
    """Recommends without saying why."""

    def with_reasons(
        self,
        query: Query,
        numbers: NDArray[np.int64],
        scores: NDArray[np.float32],
        promoted: Callable[[int], str] = lambda number: "",
    ) -> list[Recommendation]:
        """The items without reasons: what is only compared has no labels for its intents."""
        items = self.bundle.items
        return [
            Recommendation(str(items["item_id"][n]), str(items["title"][n]), score, Reason([], [], []))
            for n, score in zip(numbers.tolist(), scores.tolist(), strict=True)
        ]


class ReferenceRecommender(PlainRecommender):
    """A reference talked with as LatentCRS is: the same is heard and left out, and only the ranking differs."""

    def __init__(self, opened: EvaluationBundle, name: str) -> None:
        """`name`: see `EvaluationBundle.reference`."""
        super().__init__(opened.bundle, opened.encoder)
        self._scores, self._index = opened.reference(name), ScoreRows()

    @torch.inference_mode()
    def read_many(
        self,
        pasts: Sequence[NDArray[np.int64]],
        requests: Sequence[str],
        X: NDArray[np.float32] | None,
        unliked: Sequence[NDArray[np.int64]] | None = None,
        liked: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[Query]:
        """See `Recommender.read_many`."""
        if X is None:
            X = np.zeros((len(pasts), self.text_encoder.width), np.float32)
        S = self.bundle.behaviour.encode_tensor(Histories.from_lists([past.tolist() for past in pasts]))
        scores = self._scores(S, torch.from_numpy(X).to(S.device), requests).cpu().numpy()
        believed = np.zeros(len(self.bundle.intents), np.float32)
        rows = zip(requests, pasts, scores, strict=True)
        return [Query(request, past, believed, row, self._index) for request, past, row in rows]


def recommender_of(opened: EvaluationBundle, name: str) -> Recommender:
    """The recommender behind a system's name: latentcrs, latentcrs-paper, or a reference of `one_turn.SYSTEMS`."""
    bundle = opened.bundle
    if name == "latentcrs":
        return Recommender(bundle, opened.encoder)
    if name == "latentcrs-paper":
        model, longest = opened.paper
        em = bundle.info.config.em.model_copy(update={"max_history": longest})
        info = bundle.info.model_copy(update={"config": bundle.info.config.model_copy(update={"em": em})})
        with torch.inference_mode():
            index = ItemIndex.build(model.items().cpu().numpy())
        return PlainRecommender(replace(bundle, generative=model, index=index, info=info), opened.encoder)
    return ReferenceRecommender(opened, name)
