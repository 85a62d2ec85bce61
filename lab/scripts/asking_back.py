"""Whether asking back helps: the figures of docs/how-to/chat.md, by simulated users.

    python lab/scripts/asking_back.py BUNDLE [--dataset DATASET] [--n 300] [--split valid] [--transcripts FILE]

Each user wants one item, opens with one thing that is true of it (brief) or with two or three (usual), and answers
truly; unasked it tells one thing more each turn, or only asks for something else. Five items a turn, at most five
turns. Once without questions, once with them: the turns until the item is shown (a failure counts six), the share of
users who were shown it, and the difference with its 95% interval.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from latentcrs.evaluate.conversing import BundleDialogues
from latentcrs.evaluate.intervals import bootstrap_ci95
from latentcrs.evaluate.multi_turn import TURNS, talk_rows
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.hear.open import hearer_of
from latentcrs.recommend import Recommender
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.dialogue import Dialogue, dialogues_of

WAITING, BRIEF, USUAL = "brief openings, then only answers", "brief openings", "usual openings"


def told_briefly(user: AttributesUser, dialogues: list[Dialogue]) -> None:
    """Openings of one condition, as people have who do not know yet what they want."""
    user.speak(dialogues)
    for dialogue in dialogues:
        first = user.told(dialogue)[:1]
        dialogue.memory.told = dialogue.memory.told[:1]
        dialogue.said[0] = f"something with {first[0].shown}" if first and first[0].shown else "something good"


def go_on(user: AttributesUser, dialogues: list[Dialogue], opening: str) -> None:
    """What each says next; who waits to be asked asks for something else until then."""
    waiting = [one for one in dialogues if opening == WAITING and one.shown[-1].question is None]
    for dialogue in waiting:
        dialogue.said.append("something else")
    held = {id(one) for one in waiting}
    user.speak([one for one in dialogues if id(one) not in held])


def hold(system: BundleDialogues, user: AttributesUser, dialogues: list[Dialogue], opening: str) -> np.ndarray:
    """The turn in which each was shown its item; `TURNS` + 1 for a failure."""
    system.meet(dialogues)
    outcome = np.full(len(dialogues), TURNS + 1)
    going = list(range(len(dialogues)))
    for number in range(1, TURNS + 1):
        some = [dialogues[place] for place in going]
        if number > 1:
            go_on(user, some, opening)
        elif opening == USUAL:
            user.speak(some)
        else:
            told_briefly(user, some)
        for place, shown in zip(going, system.reply(some), strict=True):
            dialogues[place].shown.append(shown)
            if dialogues[place].target in shown.items:
                outcome[place] = number
        going = [place for place in going if outcome[place] > TURNS]
    return outcome


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--dataset")
    parser.add_argument("--split", default="valid", choices=["valid", "test"])
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--transcripts", type=Path, help="Write the first ten conversations with a question here.")
    options = parser.parse_args()
    opened = EvaluationBundle(options.bundle, options.dataset)
    recommender = Recommender(opened.bundle, opened.encoder)
    rows = talk_rows(opened.dataset, options.split, options.n)
    titles = opened.dataset.items["title"].to_list()
    for opening in (WAITING, BRIEF, USUAL):
        outcomes = {}
        for asks in (False, True):
            user, dialogues = AttributesUser(opened.dataset), dialogues_of(opened.dataset, rows)
            system = BundleDialogues(
                "asking" if asks else "not asking", recommender, hearer_of(recommender), "f", asks=asks
            )
            outcomes[asks] = hold(system, user, dialogues, opening)
            questions = sum(shown.question is not None for dialogue in dialogues for shown in dialogue.shown)
            print(
                f"{opening}, {system.name}: {outcomes[asks].mean():.2f} turns, "
                f"{np.mean(outcomes[asks] <= TURNS):.1%} shown, {questions:,} questions",
                flush=True,
            )
        difference = (outcomes[True] - outcomes[False]).astype(float)
        low, high = bootstrap_ci95(difference[:, None])[:, 0]
        print(f"{opening}: {difference.mean():+.2f} turns ({low:+.2f} to {high:+.2f}), n = {len(rows)}")
        if options.transcripts is not None and opening == WAITING:
            asked = [one for one in dialogues if any(shown.question for shown in one.shown)][:10]
            with options.transcripts.open("w") as file:
                for dialogue in asked:
                    print(f"--- wants {titles[dialogue.target]}", file=file)
                    talk = system._talks[id(dialogue)]
                    for turn in talk.recent:
                        print(f"> {turn.utterance}\n{turn.text}", file=file)
                        print("\n".join(f"  {item.title}" for item in turn.items), file=file)
                        if turn.question is not None:
                            print(f"{turn.question.text}  [{' | '.join(turn.question.answers)}]", file=file)
