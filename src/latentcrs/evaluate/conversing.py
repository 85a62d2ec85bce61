"""Systems in conversation with many simulated users at once: LatentCRS and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from latentcrs.converse.conversation import Conversation, PendingTurn
from latentcrs.data import Histories
from latentcrs.evaluate.opened import WITH_BM25, EvaluationBundle
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
Vectors = Callable[[Histories, NDArray[np.float32], Sequence[str]], NDArray[np.float32]]


class BundleDialogues:
    """The very conversations that people have (`converse.Conversation`), advanced together: all utterances of a turn
    are embedded and read in one batch.
    """

    def __init__(
        self,
        name: str,
        recommender: Recommender,
        extractor: Extractor,
        variant: Variant,
        model: ChatModel | None = None,
        fallback: Extractor | None = None,
        asks: bool = False,
    ) -> None:
        """model: judges in variant v. asks: it asks back."""
        self.asks = asks
        self.name, self.recommender, self.extractor, self.variant = name, recommender, extractor, variant
        self.model, self.fallback = model, fallback
        self._item_ids: list[str] = recommender.bundle.items["item_id"].to_list()
        self._talks: dict[int, Conversation] = {}
        self._taken: dict[int, tuple[int, int]] = {}

    def meet(self, dialogues: Sequence[Dialogue]) -> None:
        """See `Conversationalist.meet`."""
        self._talks = {id(dialogue): self._conversation(dialogue) for dialogue in dialogues}
        self._taken = {id(dialogue): (0, 0) for dialogue in dialogues}

    def _conversation(self, dialogue: Dialogue) -> Conversation:
        history = [self._item_ids[number] for number in dict.fromkeys(dialogue.history.tolist())]
        conversation = Conversation(
            self.recommender,
            self.extractor,
            Session(history=history, variant=self.variant, k=SHOWN),
            fallback=self.fallback,
            model=self.model,
            id=f"{self.name}:{dialogue.user}:{dialogue.cut}",
        )
        conversation.asks = self.asks
        return conversation

    def reply(self, dialogues: Sequence[Dialogue]) -> list[SystemTurn]:
        """See `Conversationalist.reply`."""
        begun = [self._talks[id(dialogue)].hear(dialogue.said[-1]) for dialogue in dialogues]
        queries = iter(self._read([each for each in begun if each.recommends]))
        answers = []
        for dialogue, each in zip(dialogues, begun, strict=True):
            turn = self._talks[id(dialogue)].answer(each, next(queries) if each.recommends else None)
            before = self._taken[id(dialogue)]
            self._taken[id(dialogue)] = (before[0] + turn.tokens[0], before[1] + turn.tokens[1])
            numbers = self.recommender.item_numbers(item.item_id for item in turn.items)
            asked = None if turn.question is None else Question(turn.question.column)
            answers.append(SystemTurn(tuple(numbers.tolist()), asked))
        return answers

    def _read(self, begun: Sequence[PendingTurn]) -> list[Query]:
        requests = [each.session.request for each in begun]
        wordings = [each.session.wording for each in begun]
        pasts = [self.recommender.item_numbers(each.session.past) for each in begun]
        unliked = [self.recommender.item_numbers(each.session.unliked) for each in begun]
        silent = [not request.strip() for request in requests]
        X = embed([each for each in requests if each.strip()], self.recommender.text_encoder, name=None)
        spoken = iter(self._some(pasts, wordings, unliked, [not each for each in silent], X))
        quiet = iter(self._some(pasts, wordings, unliked, silent, None))
        return [next(quiet if each else spoken) for each in silent]

    def _some(
        self,
        pasts: Sequence[NDArray[np.int64]],
        wordings: Sequence[str],
        unliked: Sequence[NDArray[np.int64]],
        chosen: Sequence[bool],
        X: NDArray[np.float32] | None,
    ) -> list[Query]:
        rows = [row for row, wanted in enumerate(chosen) if wanted]
        if not rows:
            return []
        some, no = [pasts[row] for row in rows], [unliked[row] for row in rows]
        return self.recommender.read_many(some, [wordings[row] for row in rows], X, no)

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


class Reference(PlainRecommender):
    """A reference as a recommender, so that it is talked with as LatentCRS is: the same sentences are heard, the same
    items left out, and only the ranking differs. `vectors` makes queries (B, w) of histories, X (B, d_x) and the
    words themselves.
    """

    def __init__(self, opened: EvaluationBundle, index: ItemIndex, vectors: Vectors) -> None:
        """index: what the queries are put to."""
        super().__init__(opened.bundle, opened.encoder)
        self._reference, self._vectors = index, vectors

    def read_many(
        self,
        pasts: Sequence[NDArray[np.int64]],
        requests: Sequence[str],
        X: NDArray[np.float32] | None,
        unliked: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[Query]:
        """See `Recommender.read_many`; without words X is zero."""
        if X is None:
            X = np.zeros((len(pasts), self.text_encoder.width), np.float32)
        histories = Histories.from_lists([past.tolist() for past in pasts])
        vectors = self._vectors(histories, X, requests)
        believed = np.zeros(len(self.bundle.intents), np.float32)
        rows = zip(requests, pasts, vectors, strict=True)
        return [Query(request, past, believed, vector, self._reference) for request, past, vector in rows]


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
    behaviour, device = bundle.behaviour, bundle.behaviour.device
    V, T = bundle.generative.V, F.normalize(bundle.generative.T, dim=1)

    def encoded(histories: Histories) -> torch.Tensor:
        return behaviour.encode_tensor(histories)

    def popular(histories: Histories, X: NDArray[np.float32], requests: Sequence[str]) -> NDArray[np.float32]:
        return np.ones((len(X), 1), np.float32)

    @torch.inference_mode()
    def behaved(histories: Histories, X: NDArray[np.float32], requests: Sequence[str]) -> NDArray[np.float32]:
        return encoded(histories).cpu().numpy()

    def said(histories: Histories, X: NDArray[np.float32], requests: Sequence[str]) -> NDArray[np.float32]:
        return X

    @torch.inference_mode()
    def summed(histories: Histories, X: NDArray[np.float32], requests: Sequence[str]) -> NDArray[np.float32]:
        # Standardising a row's scores scales and shifts them: the sum of both is still an inner product, but for a
        # constant that no ranking sees.
        S, words = encoded(histories), torch.from_numpy(X).to(device)
        parts = []
        for query, items, weight in ((S, V, 1 - opened.weight), (words, T, opened.weight)):
            spread = (query @ items.T).std(1, keepdim=True).clamp_min(1e-9)
            parts.append(query * (weight / spread))
        return torch.cat(parts, 1).cpu().numpy()

    @torch.inference_mode()
    def matched(histories: Histories, X: NDArray[np.float32], requests: Sequence[str]) -> NDArray[np.float32]:
        query, items, longest = opened.query(WITH_BM25[name])
        S = encoded(histories if longest is None else histories.newest(longest))
        scores = query(S, torch.from_numpy(X).to(device)) @ items.T
        return opened.with_bm25(WITH_BM25[name], scores, requests).cpu().numpy()

    @torch.inference_mode()
    def fused(histories: Histories, X: NDArray[np.float32], requests: Sequence[str]) -> NDArray[np.float32]:
        return opened.fusion.query(encoded(histories), torch.from_numpy(X).to(device)).cpu().numpy()

    def reference(items: torch.Tensor, vectors: Vectors) -> Reference:
        return Reference(opened, ItemIndex.build(items.detach().cpu().numpy()), vectors)

    if name == "popularity":
        return reference(bundle.generative.log_popularity[:, None], popular)
    if name == "behaviour":
        return reference(V, behaved)
    if name == "text":
        return reference(T, said)
    if name in WITH_BM25:
        return Reference(opened, ScoreRows(), matched)
    if name == "sum":
        return reference(torch.cat([V, T], 1), summed)
    return reference(opened.fusion.items(), fused)
