"""What is said in a load benchmark: conversations that simulated users have held with the engine in this process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latentcrs.base.device import resolve_device
from latentcrs.base.errors import UserError
from latentcrs.base.progress import step
from latentcrs.converse.conversation import Conversation
from latentcrs.evaluate.multi_turn import TURNS, talk_rows
from latentcrs.hear.open import hearer_of
from latentcrs.recommend import load
from latentcrs.recommend.users import trained_dataset
from latentcrs.store.session import Session
from latentcrs.users.dialogue import SystemTurn, dialogues_of
from latentcrs.users.open import open_user

WARM_UP = 20
ANEW = "Start over. "


@dataclass(frozen=True)
class Script:
    """One conversation. history: item ids, oldest first. said, shown: the utterance of each turn, and the ids of the
    items that the engine answered it with.
    """

    history: list[str]
    said: list[str]
    shown: list[list[str]]


@dataclass(frozen=True)
class HeldConversations:
    """Conversations on `dataset`. seconds: of each turn, all in order. processor_seconds: of all turns together."""

    dataset: str
    scripts: list[Script]
    seconds: NDArray[np.float64]
    processor_seconds: float


def held_in_process(bundle: str | Path, conversations: int, turns: int, device: str = "auto") -> HeldConversations:
    """Hold `conversations` of `turns` turns, one after the other, without a server or a store.

    The people are those of the test split, with their histories; each wants the held-out item and says so as the
    `attributes` user of the multi-turn evaluation does. Shown it, or after five turns, they start over with what the
    next one wants.

    Raises:
        UserError: no bundle there, or its data set is gone or has no test split.
    """
    recommender = load(bundle, resolve_device(device).type)
    dataset = trained_dataset(recommender.bundle.info)
    rows = talk_rows(dataset, "test")
    if rows.is_empty():
        raise UserError(f"Nobody in {dataset.path} has an item of the test split that they could ask for.")
    user = open_user("attributes", dataset)
    extractor = hearer_of(recommender)
    ids = recommender.bundle.items["item_id"].to_list()
    for text in dataset.requests["text"].head(WARM_UP).to_list():
        Conversation(recommender, extractor).reply(text)
    spent: list[float] = []
    processor = 0.0
    scripts = []
    # Spread over all people: neighbours in the data set may have come at the same time.
    order = np.random.default_rng(0).permutation(len(rows))
    with step("Conversation.reply", conversations * turns) as bar:
        for number in range(conversations):
            wishes = (order[(number + conversations * nth) % len(rows)] for nth in range(turns))
            dialogue = dialogues_of(dataset, rows[[int(next(wishes))]])[0]
            history = [ids[item] for item in dict.fromkeys(dialogue.history.tolist())]
            conversation = Conversation(recommender, extractor, Session(history=history))
            script = Script(history, [], [])
            for turn in range(turns):
                user.speak([dialogue])
                anew = turn > 0 and len(dialogue.said) == 1
                said = f"{ANEW}{dialogue.said[-1]}" if anew else dialogue.said[-1]
                began, worked = time.perf_counter(), time.process_time()
                answered = conversation.reply(said)
                spent.append(time.perf_counter() - began)
                processor += time.process_time() - worked
                script.said.append(said)
                script.shown.append([item.item_id for item in answered.items])
                numbers = tuple(recommender.item_numbers(script.shown[-1]).tolist())
                dialogue.shown.append(SystemTurn(numbers))
                if turn + 1 < turns and (dialogue.target in numbers or len(dialogue.said) == TURNS):
                    dialogue = dialogues_of(dataset, rows[[int(next(wishes))]])[0]
                bar.advance()
            scripts.append(script)
    return HeldConversations(dataset.info.name, scripts, np.array(spent), processor)
