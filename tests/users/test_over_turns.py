"""Claims about the user who talks over several turns: what it says is true, new, its own, and never the title."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from latentcrs.data.dataset import PreparedDataset
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.dialogue import Dialogue, Question, SimulatedUser, SystemTurn, answer_to
from latentcrs.users.leak import leaks
from latentcrs.users.personas import PERSONAS, persona_called

TURNS = 5


def begun(dataset: PreparedDataset, count: int) -> list[Dialogue]:
    """A dialogue for each of the first users of the data set, who want the last item of theirs."""
    dialogues = []
    for user in range(count):
        sequence = dataset.sequence[dataset.offsets[user] : dataset.offsets[user + 1]]
        cut = len(sequence) - 1
        dialogues.append(Dialogue(user, cut, int(sequence[cut]), sequence[:cut]))
    return dialogues


def lists_for(dataset: PreparedDataset, dialogues: Sequence[Dialogue], turn: int) -> list[tuple[int, ...]]:
    """Five of the best known items that share a sort with the target, without it: what a fair system might show."""
    column = "genres" if "genres" in dataset.info.columns else "genre"
    popular = np.argsort(-np.bincount(dataset.sequence, minlength=len(dataset.items)), kind="stable").tolist()
    values = dataset.items[column].to_list()
    sorts: dict[str, list[int]] = {}
    for item in popular:
        found = values[item]
        for value in found if isinstance(found, list) else [found]:
            sorts.setdefault(str(value), []).append(item)
    out = []
    for dialogue in dialogues:
        own = values[dialogue.target]
        value = str((own or [None])[turn % max(len(own or []), 1)] if isinstance(own, list) else own)
        pool = [item for item in sorts[value][: 8 * TURNS] if item != dialogue.target]
        start = (dialogue.user + turn * 5) % max(len(pool) - 5, 1)
        out.append(tuple(pool[start : start + 5]))
    return out


def talked(dataset: PreparedDataset, user: AttributesUser, count: int) -> list[Dialogue]:
    dialogues = begun(dataset, count)
    for turn in range(TURNS):
        user.speak(dialogues)
        if turn < TURNS - 1:
            for dialogue, items in zip(dialogues, lists_for(dataset, dialogues, turn), strict=True):
                dialogue.shown.append(SystemTurn(items))
    return dialogues


Talk = tuple[PreparedDataset, AttributesUser, list[Dialogue]]


@pytest.fixture(scope="module")
def film_talk(movies: PreparedDataset) -> Talk:
    user = AttributesUser(movies)
    return movies, user, talked(movies, user, 1200)


@pytest.fixture(scope="module")
def game_talk(games: PreparedDataset) -> Talk:
    user = AttributesUser(games)
    return games, user, talked(games, user, 800)


@pytest.fixture(params=["film_talk", "game_talk"])
def talk(request: pytest.FixtureRequest) -> Talk:
    found: Talk = request.getfixturevalue(request.param)
    return found


def test_it_is_a_simulated_user(film_talk: Talk) -> None:
    user: SimulatedUser = film_talk[1]
    assert user.name == "attributes"


def test_everything_told_is_true_of_the_target(talk: Talk) -> None:
    dataset, user, dialogues = talk
    rows = dataset.items.rows(named=True)
    told = [(d, condition) for d in dialogues for condition in user.told(d)]
    assert [(d.said, condition) for d, condition in told if not condition.holds(rows[d.target])] == []
    assert len(told) > 2 * len(dialogues)


def test_every_complaint_is_true_of_what_was_shown_and_not_of_the_target(talk: Talk) -> None:
    dataset, _, dialogues = talk
    rows = dataset.items.rows(named=True)
    complaints = [(d, complaint) for d in dialogues for complaint in d.memory.complaints]
    assert len(complaints) > 50
    for dialogue, fault in complaints:
        assert not fault.holds(rows[dialogue.target]), dialogue.said
        assert any(
            np.mean([fault.holds(rows[item]) for item in shown.items]) >= 0.6
            for shown in dialogue.shown
            if shown.items
        ), dialogue.said


def test_no_sentence_gives_the_target_away(talk: Talk) -> None:
    _, user, dialogues = talk
    assert [text for d in dialogues for text in d.said if leaks(text, user.titles[d.target]) or not text] == []
    assert 0 < sum(d.leaks for d in dialogues) < 0.3 * len(dialogues)  # it had something to catch


def test_openings_tell_two_or_three_conditions(film_talk: Talk) -> None:
    dataset, user, _ = film_talk
    dialogues = begun(dataset, 1200)
    user.speak(dialogues)
    counts = {name: Counter(len(user.told(d)) for d in dialogues if d.persona == name) for name in PERSONAS}
    assert set().union(*counts.values()) == {2, 3}
    assert set(counts["picky"]) == {3} and set(counts["vague"]) == {2}


def test_every_refusal_tells_one_thing_more_while_there_is_one(film_talk: Talk) -> None:
    _, user, dialogues = film_talk
    told = [len(user.told(d)) + len(d.memory.taken_back) for d in dialogues]
    # Five turns: two or three conditions, then four more; a film has seven columns to speak of.
    assert np.mean([count >= 6 for count in told]) > 0.95
    assert max(told) <= 3 + TURNS - 1
    assert all(len(set(d.memory.told)) == len(d.memory.told) for d in dialogues)


def test_other_columns_are_told_before_the_same_again(film_talk: Talk) -> None:
    _, user, dialogues = film_talk
    columns = [len({"story" if c.role == "story" else c.column for c in user.told(d)}) for d in dialogues]
    assert np.mean(columns) > 4.5


def test_some_things_are_taken_back_and_never_told_again(talk: Talk) -> None:
    _, user, dialogues = talk
    back = [(d, index) for d in dialogues for index in d.memory.taken_back]
    assert 0.01 < len(back) / (len(dialogues) * (TURNS - 1)) < 0.1
    for dialogue, index in back:
        assert index not in dialogue.memory.told
        if user.table.single[index]:  # nor a year in other words
            assert user.table.conditions[index].column not in {c.column for c in user.told(dialogue)}


def test_a_column_of_one_value_is_told_once(film_talk: Talk) -> None:
    _, user, dialogues = film_talk
    for dialogue in dialogues:
        assert sum(condition.role == "year" for condition in user.told(dialogue)) <= 1


def test_a_dialogue_is_the_same_in_any_batch_and_order(movies: PreparedDataset, film_talk: Talk) -> None:
    _, _, together = film_talk
    alone = AttributesUser(movies)
    for dialogue in reversed(together[:40]):
        again = begun(movies, dialogue.user + 1)[-1]
        for turn in range(TURNS):
            alone.speak([again])
            if turn < TURNS - 1:
                again.shown.append(dialogue.shown[turn])
        assert (again.said, again.persona) == (dialogue.said, dialogue.persona)


def test_another_seed_says_something_else(movies: PreparedDataset, film_talk: Talk) -> None:
    other = begun(movies, 200)
    AttributesUser(movies, seed=1).speak(other)
    assert np.mean([a.said[0] != b.said[0] for a, b in zip(other, film_talk[2], strict=False)]) > 0.9


def test_the_plain_persona_opens_with_the_words_of_the_one_turn_user(movies: PreparedDataset) -> None:
    user, dialogues = AttributesUser(movies), begun(movies, 300)
    for dialogue in dialogues:
        dialogue.persona = "plain"
    user.speak(dialogues)
    rows = pl.DataFrame([{name: getattr(d, name) for name in ("user", "cut", "target")} for d in dialogues])
    assert [d.said[0] for d in dialogues] == [request.text for request in user.request(rows)]
    assert {d.persona for d in dialogues} == {"plain"}


def test_personas_are_met_as_often_as_they_should_and_sound_different(film_talk: Talk) -> None:
    _, _, dialogues = film_talk
    shares = {persona.name: persona.share / 100 for persona in map(persona_called, PERSONAS)}
    met = Counter(d.persona for d in dialogues)
    assert all(abs(met[name] / len(dialogues) - share) < 0.05 for name, share in shares.items())
    texts = {name: [text for d in dialogues if d.persona == name for text in d.said] for name in PERSONAS}
    length = {name: np.mean([len(text.split()) for text in texts[name]]) for name in PERSONAS}
    assert length["terse"] < 0.7 * length["plain"] < length["plain"] < 0.75 * length["chatty"]

    def says(name: str, words: str) -> float:
        return float(np.mean([bool(re.search(words, text.lower())) for text in texts[name]]))

    assert says("vague", r"maybe|perhaps|guess|kind of|sort of|not sure|think|possibly") > 0.6
    assert says("plain", r"maybe|perhaps|guess|kind of|sort of|not sure|possibly") < 0.2
    assert says("picky", r"must|only|nothing|insist|definitely|absolutely|strictly|expect|has to") > 0.6


def test_nobody_says_the_same_thing_the_same_way_twice(talk: Talk) -> None:
    repeated = [d.said for d in talk[2] if len(set(d.memory.used)) < len(d.memory.used)]
    assert len(repeated) < 0.05 * len(talk[2])
    said = [text for d in talk[2] for text in d.said]
    assert len(set(said)) > 0.85 * len(said)


def test_sentences_are_clean_english(talk: Talk) -> None:
    wrong = re.compile(r"[{}]|  |\s[,.?!](?!\.)|\b(?:the the|a the|a a|with with|one ones)\b|\.\.\.\.|[,.] [,.]")
    said = [text for d in talk[2] if d.persona != "typos" for text in d.said]
    assert [text for text in said if wrong.search(text)][:10] == []


def test_titles_are_quoted_but_never_one_that_touches_the_targets(film_talk: Talk) -> None:
    dataset, user, dialogues = film_talk
    quoted = sum('"' in text for d in dialogues for text in d.said)
    assert quoted > 10
    titles = dataset.items["title"].to_list()
    star_wars = titles.index("Star Wars: Episode V - The Empire Strikes Back")
    shown = SystemTurn((titles.index("Star Wars: Episode IV - A New Hope"),))
    for number in range(300):
        dialogue = Dialogue(number, 1, star_wars, np.zeros(0, np.int32), said=["Hi"], shown=[shown])
        user.speak([dialogue])
        assert "star wars" not in dialogue.said[-1].lower()


def test_what_the_user_has_watched_is_named_as_seen_more_often(film_talk: Talk) -> None:
    dataset, user, _ = film_talk
    known = Counter[bool]()
    for fresh in (True, False):
        dialogues = begun(dataset, 400)
        user.speak(dialogues)
        for dialogue in dialogues:
            dialogue.shown.append(SystemTurn(tuple(dialogue.history[:3].tolist())))
            if fresh:
                dialogue.history = dialogue.history[:0]
        user.speak(dialogues)
        known[fresh] = sum(bool(re.search(r"\b(?:seen|know|saw)\b", d.said[1].lower())) for d in dialogues)
    assert known[False] > 1.8 * known[True]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (Question("genres", "Comedy"), True),
        (Question("genres", "comedy"), True),
        (Question("genres", "Horror"), False),
        (Question("director", "John Lasseter"), True),
        (Question("year", "1995"), True),
        (Question("year", "1990s"), True),
        (Question("year", "the 80s"), False),
        (Question("year", "whenever"), None),
        (Question("plot", "little boy"), True),
        (Question("genres"), None),
        (Question("price", "10"), None),
    ],
)
def test_questions_are_answered_from_the_catalogue(question: Question, answer: bool | None, film_talk: Talk) -> None:
    dataset = film_talk[0]
    assert answer_to(question, dataset, dataset.items["title"].to_list().index("Toy Story")) is answer


def test_yes_no_and_open_questions_are_answered_truly_in_words(film_talk: Talk) -> None:
    dataset, user, _ = film_talk
    rows = dataset.items.rows(named=True)
    yes = (
        r"yes|right|sure|exactly|correct|great|definitely|absolutely|of course|obviously|precisely|certainly|think so"
    )
    yes = rf"\b(?:{yes}|yeah|yep|yup|y|probably|suppose so|kind of|read my mind|guess|more or less)\b"
    no = r"\bn|\bother|wrong|something else|under no|never|rather not|don't t"
    fitting: list[bool] = []
    for column, value in (("genres", "Drama"), ("certificate", "R"), ("year", "1990s")):
        dialogues = begun(dataset, 300)
        user.speak(dialogues)
        for dialogue in dialogues:
            dialogue.shown.append(SystemTurn((), Question(column, value)))
        user.speak(dialogues)
        for dialogue in dialogues:
            true, text = answer_to(Question(column, value), dataset, dialogue.target), dialogue.said[1]
            if true and dialogue.persona != "typos":
                fitting.append(bool(re.search(yes, text.lower())))
            if true is False and dialogue.persona not in ("typos", "vague"):
                fitting.append(bool(re.search(no, text.lower())))
            assert all(condition.holds(rows[dialogue.target]) for condition in user.told(dialogue))
    assert len(fitting) > 500 and np.mean(fitting) > 0.97  # the rest are slips of the finger
    dialogues = begun(dataset, 300)
    user.speak(dialogues)
    for dialogue in dialogues:
        dialogue.shown.append(SystemTurn((), Question("director")))
    before = copy.deepcopy([d.memory.told for d in dialogues])
    user.speak(dialogues)
    told = [{c.column for c in user.told(d)} for d in dialogues]
    assert np.mean(["director" in columns for columns in told]) > 0.9
    assert any(len(d.memory.told) > len(old) for d, old in zip(dialogues, before, strict=True))


def test_what_the_catalogue_does_not_say_does_not_matter_to_the_user(game_talk: Talk) -> None:
    dataset, user, _ = game_talk
    silent = dataset.items.with_row_index("row").filter(pl.col("genre").is_null())["row"].to_list()[:200]
    dialogues = [Dialogue(n, 1, item, np.zeros(0, np.int32)) for n, item in enumerate(silent)]
    user.speak(dialogues)
    before = [len(d.memory.told) for d in dialogues]
    for dialogue in dialogues:
        dialogue.shown.append(SystemTurn((), Question("genre", "Puzzle" if dialogue.user % 2 else None)))
    user.speak(dialogues)
    assert [len(d.memory.told) for d in dialogues] == before
    openly = re.compile("|".join(text for one in map(persona_called, PERSONAS) for text in one.words["indifferent"]))
    said = [d.said[1].lower() for d in dialogues if d.persona != "typos"]
    assert np.mean([bool(openly.search(text.replace("i ", "I "))) for text in said]) > 0.85  # the rest are slips


def test_an_accessory_is_not_played(game_talk: Talk) -> None:
    dataset, user, _ = game_talk
    accessories = dataset.items.with_row_index("row").filter(pl.col("kind") == "accessory")["row"].to_list()[:300]
    dialogues = [Dialogue(n, 1, item, np.zeros(0, np.int32)) for n, item in enumerate(accessories)]
    user.speak(dialogues)
    for dialogue in dialogues:
        dialogue.shown.append(SystemTurn(tuple(accessories[dialogue.user - 3 : dialogue.user]) or (accessories[-1],)))
    user.speak(dialogues)
    assert [text for d in dialogues for text in d.said if re.search(r"\b(?:played?|watch|seen)\b", text)] == []


def test_nothing_shown_and_nothing_left_to_tell_still_gets_an_answer(tiny: PreparedDataset) -> None:
    user = AttributesUser(tiny)
    dialogue = Dialogue(0, 3, 5, np.array([1, 2], np.int32), persona="picky")
    for turn in range(20):
        user.speak([dialogue])
        dialogue.shown.append(SystemTurn(() if turn % 2 else (1, 2)))
    assert all(dialogue.said) and len(dialogue.said) == 20
    assert len(set(dialogue.memory.told)) == len(dialogue.memory.told)
