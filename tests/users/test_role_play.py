"""Claims about the `llm` user, with a model that says what it is told to."""

from __future__ import annotations

import numpy as np
import pytest

from latentcrs.data.dataset import PreparedDataset
from latentcrs.llm import ChatRequest, Completion, Message, ModelError
from latentcrs.users.dialogue import Dialogue, Question, SystemTurn
from latentcrs.users.role_play import SPOKEN, RolePlayUser, spoken_line


class Parrot:
    """Says its lines one after the other, the last one for ever; an error among them is raised."""

    id = "parrot"

    def __init__(self, *lines: str | ModelError) -> None:
        self.lines, self.asked = list(lines), list[list[Message]]()

    def complete(self, request: ChatRequest) -> Completion:
        self.asked.append(list(request.messages))
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        if isinstance(line, ModelError):
            raise line
        return Completion(line, 10, 5, 1.0, self.id)


def wanting(target: int) -> Dialogue:
    return Dialogue(0, 3, target, np.array([5, 6, 7], np.int32))


def test_the_title_stays_out_of_the_prompt(movies: PreparedDataset) -> None:
    titles = movies.items["title"].to_list()
    user = RolePlayUser(movies, Parrot("Something nice, please."))
    for name in ("The Wizard of Oz", "Toy Story", "Toy Story 2", "Braveheart", "It Happened One Night"):
        target = titles.index(name)
        dialogue = Dialogue(1, 2, target, np.array([titles.index("Toy Story"), titles.index("Heat")], np.int32))
        dialogue.said, dialogue.shown = (
            ["Hi."],
            [SystemTurn((titles.index("Toy Story 2"), 3), Question("title", name))],
        )
        whole = " ".join(message.content for message in user.messages(dialogue)).lower()
        assert name.lower() not in whole
        assert "heat" in whole and "___" in whole


def test_a_leaking_answer_is_asked_for_again(tiny: PreparedDataset) -> None:
    model = Parrot("Zanzibar Bramble please.", 'User: "A drama with a parrot."\nAnd more.')
    dialogue = wanting(1)
    RolePlayUser(tiny, model).speak([dialogue])
    assert dialogue.said == ["A drama with a parrot."]
    assert dialogue.leaks == 1 and len(model.asked) == 2


def test_an_answer_that_leaks_every_time_is_masked(tiny: PreparedDataset) -> None:
    dialogue = wanting(1)
    RolePlayUser(tiny, Parrot("I want a sad drama called Bramble tonight.")).speak([dialogue])
    assert dialogue.said == ["I want a sad drama called something tonight."]
    assert dialogue.leaks == 3


def test_a_repeated_answer_is_replaced(tiny: PreparedDataset) -> None:
    dialogue, user = wanting(1), RolePlayUser(tiny, Parrot("A drama with a parrot."))
    for _ in range(3):
        user.speak([dialogue])
        dialogue.shown.append(SystemTurn((2, 3)))
    assert len(set(dialogue.said)) == 3 and dialogue.said[0] == "A drama with a parrot."


def test_a_failing_model_leaves_a_neutral_sentence_and_is_counted(tiny: PreparedDataset) -> None:
    dialogue = wanting(1)
    user = RolePlayUser(tiny, Parrot(ModelError("bad key", "no key")))
    user.speak([dialogue])
    assert dialogue.said[0] and user.failed == 1 and "no key" in str(user.last_error)


def test_what_was_said_once_is_kept_beside_the_data_set(tiny: PreparedDataset) -> None:
    first, again = wanting(1), wanting(1)
    RolePlayUser(tiny, Parrot("A drama with a parrot.")).speak([first])
    silent = Parrot(ModelError("unreachable", "nobody there"))
    RolePlayUser(PreparedDataset(tiny.path), silent).speak([again])
    assert again.said == first.said and not silent.asked
    assert (tiny.path / SPOKEN).is_file()
    assert len(PreparedDataset(tiny.path).items) == 12  # the folder is still a prepared data set


def test_the_conversation_so_far_is_in_the_prompt_by_turns(tiny: PreparedDataset) -> None:
    dialogue, model = wanting(1), Parrot("A drama with a parrot.", "No, there is a plumber too.")
    user = RolePlayUser(tiny, model)
    user.speak([dialogue])
    dialogue.shown.append(SystemTurn((2, 3), Question("genres", "Western")))
    user.speak([dialogue])
    roles = [message.role for message in model.asked[-1]]
    assert roles == ["system", "user", "assistant", "user"]
    assert model.asked[-1][2].content == "A drama with a parrot."
    assert "1. ___ Citron" in model.asked[-1][3].content and "Is the genres Western?" in model.asked[-1][3].content


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ('"A film with a dog."', "A film with a dog."),
        ("\n\nUser: I want\nmore", "I want"),
        ("One thing. Two things. Three things.", "One thing. Two things."),
        ("A whole sentence. Half of", "A whole sentence."),
        ("", ""),
    ],
)
def test_an_answer_becomes_one_line_of_a_chat(answer: str, line: str) -> None:
    assert spoken_line(answer) == line
