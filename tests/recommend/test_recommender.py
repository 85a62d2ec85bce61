"""Claims about recommending from a trained bundle: what comes back, what never does, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import latentcrs
from latentcrs.base.errors import UserError
from latentcrs.behaviour.comentions import FEW
from latentcrs.data import PreparedDataset
from latentcrs.recommend import Recommender, Rule
from latentcrs.recommend.explain import matching_words, words_of
from latentcrs.text import LocalEncoder, open_encoder
from latentcrs.text.minilm import has_int8

REQUEST = "a funny animated film from the 1990s with talking toys"


@pytest.fixture(scope="module")
def people(small_movielens: Path) -> list[list[str]]:
    """What eight people of the log liked, oldest first."""
    dataset = PreparedDataset(small_movielens)
    item_ids = dataset.items["item_id"].to_list()
    spans = zip(dataset.offsets[:-1], dataset.offsets[1:], strict=True)
    return [[item_ids[item] for item in dataset.sequence[begin:end]] for begin, end in list(spans)[:8]]


def years(recommender: Recommender, item_ids: list[str]) -> list[int]:
    items = recommender.bundle.items
    return items.filter(pl.col("item_id").is_in(item_ids))["year"].to_list()


@pytest.mark.parametrize("request_", [REQUEST, ""])
@pytest.mark.parametrize("k", [1, 5, 50])
def test_k_items_come_back_best_first_and_none_twice(
    recommender: Recommender, people: list[list[str]], request_: str, k: int
) -> None:
    for history in people:
        answers = recommender.recommend(history, request_, k)
        scores = [answer.score for answer in answers]
        assert len({answer.item_id for answer in answers}) == k
        assert scores == sorted(scores, reverse=True)


def test_nothing_of_the_history_and_nothing_excluded_comes_back(
    recommender: Recommender, people: list[list[str]]
) -> None:
    everything = len(recommender.bundle.items)
    for history in people:
        shown = [answer.item_id for answer in recommender.recommend(history, REQUEST, 5)]
        rest = [answer.item_id for answer in recommender.recommend(history, REQUEST, everything, exclude=shown)]
        assert set(rest) == set(recommender.bundle.items["item_id"]) - set(history) - set(shown)


def test_excluding_what_was_shown_brings_the_next_best(recommender: Recommender, people: list[list[str]]) -> None:
    ten = recommender.recommend(people[0], REQUEST, 10)
    shown = [answer.item_id for answer in ten[:5]]
    assert recommender.recommend(people[0], REQUEST, 5, exclude=shown) == ten[5:]


@pytest.mark.parametrize("request_", [REQUEST, ""])
def test_somebody_new_who_did_nothing_gets_an_answer(recommender: Recommender, request_: str) -> None:
    answers = recommender.recommend(request=request_)
    assert len(answers) == 5
    assert all(answer.reason.because_of == [] for answer in answers)


def test_words_change_the_answer_and_so_does_the_history(recommender: Recommender, people: list[list[str]]) -> None:
    toys = recommender.recommend(people[0], REQUEST)
    assert toys != recommender.recommend(people[0], "a slow black and white film noir about a murder")
    assert toys != recommender.recommend(people[1], REQUEST)


def test_what_is_asked_for_is_found_among_the_first(recommender: Recommender, ids: Callable[[str], str]) -> None:
    def place(title: str, request: str) -> int:
        answers = recommender.recommend([], request, len(recommender.bundle.items))
        return [answer.item_id for answer in answers].index(ids(title))

    assert place("Toy Story", "an animation with toys that come to life") < 20
    assert place("Alien", "horror in space with a monster") < 20


@pytest.mark.parametrize("least", [1900, 1999])  # nearly all, and few: both ways of searching
def test_where_takes_a_rule_rules_or_an_expression(
    recommender: Recommender, people: list[list[str]], least: int
) -> None:
    rule = Rule(column="year", op=">=", value=least)
    by_rule = recommender.recommend(people[0], REQUEST, 10, where=rule)
    assert by_rule
    assert min(years(recommender, [answer.item_id for answer in by_rule])) >= least
    assert recommender.recommend(people[0], REQUEST, 10, where=[rule]) == by_rule
    assert recommender.recommend(people[0], REQUEST, 10, where=pl.col("year") >= least) == by_rule
    assert recommender.recommend(people[0], REQUEST, 10, where=[]) == recommender.recommend(people[0], REQUEST, 10)


def test_all_rules_hold_at_once_and_fewer_than_k_come_back_when_fewer_pass(recommender: Recommender) -> None:
    rules = [
        Rule(column="genres", op="has all", value=["Animation", "Comedy"]),
        Rule(column="year", op="is", value=1995),
    ]
    items = recommender.bundle.items
    passing = items.filter(
        pl.col("genres").list.contains("Animation")
        & pl.col("genres").list.contains("Comedy")
        & (pl.col("year") == 1995)
    )
    answers = recommender.recommend([], REQUEST, 100, where=rules)
    assert {answer.item_id for answer in answers} == set(passing["item_id"])
    assert 0 < len(answers) < 100
    assert recommender.recommend([], REQUEST, where=Rule(column="year", op=">", value=3000)) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"k": 0}, r"k must be at least 1, not 0"),
        ({"history": ["no such film"]}, r"no item with the id or title 'no such film'"),
        ({"exclude": [-1]}, r"no item with the id '-1'"),
        ({"where": Rule(column="colour", op="is", value="red")}, r"no column 'colour'"),
        ({"where": Rule(column="year", op="contains", value="199")}, r"'year' is a year column"),
        ({"where": [Rule(column="year", op="is", value="late")]}, r"'year' wants numbers"),
        ({"where": pl.col("colour") == "red"}, r"where does not fit the catalogue"),
        ({"where": pl.col("year") + 1}, r"where"),
        ({"where": pl.lit(True)}, r"true or false for every item"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(
    recommender: Recommender, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        recommender.recommend(request=REQUEST, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_ids_may_be_numbers(recommender: Recommender, people: list[list[str]]) -> None:
    numbers = [int(item_id) for item_id in people[0]]
    assert recommender.recommend(numbers, REQUEST) == recommender.recommend(people[0], REQUEST)


@torch.inference_mode()
def test_scores_are_h_of_the_model_worked_out_for_every_item(
    recommender: Recommender, people: list[list[str]]
) -> None:
    bundle = recommender.bundle
    X = torch.from_numpy(recommender.text_encoder.encode([REQUEST]))
    for history in people[:3]:
        past = recommender.item_numbers(history)
        S = torch.from_numpy(bundle.behaviour.encode([past.tolist()]))
        assert bundle.reader is not None
        clues = bundle.reader.read([REQUEST], [past.tolist() if len(past) <= FEW else []], np.array([len(past)]))
        _, query, bonus = bundle.generative.ask(S, X, clues)
        assert bonus is not None
        h = (query @ bundle.generative.items().T + bonus)[0].numpy()
        h[past] = -np.inf
        answers = recommender.recommend(history, REQUEST, 20)
        order = np.argsort(-h, kind="stable")[:20]
        assert [answer.score for answer in answers] == pytest.approx(h[order].tolist(), rel=1e-3)
        by_number = recommender.item_numbers(answer.item_id for answer in answers)
        assert h[by_number].tolist() == pytest.approx(h[order].tolist(), rel=1e-3)


def test_without_words_the_behaviour_encoder_ranks_alone(recommender: Recommender, people: list[list[str]]) -> None:
    behaviour, past = recommender.bundle.behaviour, recommender.item_numbers(people[0])
    scores = behaviour.encode([past.tolist()])[0] @ behaviour.item_embeddings.T
    scores[past] = -np.inf
    answers = recommender.recommend(people[0], "  ", 10)
    assert (
        recommender.item_numbers(answer.item_id for answer in answers).tolist() == np.argsort(-scores)[:10].tolist()
    )


def test_reasons_name_this_persons_past_words_of_the_request_and_intents_of_the_bundle(
    recommender: Recommender, people: list[list[str]]
) -> None:
    bundle = recommender.bundle
    titles = dict(zip(bundle.items["item_id"].to_list(), bundle.items["title"].to_list(), strict=True))
    named = 0
    for history in people:
        for answer in recommender.recommend(history, REQUEST, 20):
            reason, liked = answer.reason, {titles[item_id] for item_id in history}
            assert set(reason.because_of) <= liked
            assert set(reason.intents) <= set(bundle.intents["label"])
            for word in reason.words:
                assert words_of(word) <= words_of(REQUEST)
            named += bool(reason.because_of) + bool(reason.words)
            assert str(reason)
    assert named > 50


COLUMNS = {"year": "year", "genres": "multi-category", "plot": "text"}


@pytest.mark.parametrize(
    ("request_", "item", "words"),
    [
        ("anything from the 1990s", {"year": 1994}, ["1990s"]),
        ("anything from the 1990s", {"year": 1990}, ["1990s"]),
        ("anything from the 1990s", {"year": 2003}, []),
        ("a 90s thing", {"year": 1994}, ["90s"]),
        ("a 2000s thing", {"year": 2003}, ["2000s"]),
        ("one of 1994", {"year": 1994}, ["1994"]),
        ("one of 1994", {"year": 1995}, []),
        ("comedies please", {"genres": ["Comedy", "Drama"]}, ["Comedy"]),
        ("sci-fi or a western", {"genres": ["Western"]}, ["Western"]),
        ("with talking toys", {"plot": "A toy that talks."}, ["toys"]),
        ("a film", {"plot": "A film about a film."}, []),
        ("", {"year": 1994, "genres": ["Comedy"]}, []),
        ("a comedy", {"year": None, "genres": None, "plot": None}, []),
    ],
)
def test_the_words_of_a_reason_are_those_that_are_true_of_the_item(
    request_: str, item: dict[str, object], words: list[str]
) -> None:
    assert matching_words(request_, item, COLUMNS) == words  # type: ignore[arg-type]


def test_a_title_is_found_in_part_and_exactly_before_in_part(
    recommender: Recommender, ids: Callable[[str], str]
) -> None:
    assert recommender.find_item("toy story") == ids("Toy Story")
    assert recommender.find_item("Alien") == ids("Alien")
    for nowhere in ("no film is called this", " "):
        with pytest.raises(UserError, match="No title"):
            recommender.find_item(nowhere)


def test_every_file_of_the_bundle_is_checked(copied_bundle: Path) -> None:
    files = [path for path in copied_bundle.iterdir() if path.name != "bundle.json"]
    assert len(files) >= 5
    for path in files:
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        path.write_bytes(changed)
        with pytest.raises(UserError, match=rf"{path.name} has changed.*checksum"):
            latentcrs.load(copied_bundle)
        path.unlink()
        with pytest.raises(UserError, match=rf"{path.name} is missing"):
            latentcrs.load(copied_bundle)
        path.write_bytes(whole)
    latentcrs.load(copied_bundle)


def test_a_folder_that_is_no_bundle_and_a_damaged_manifest_are_named(copied_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a model bundle.*latentcrs train"):
        latentcrs.load(tmp_path / "nowhere")
    (copied_bundle / "bundle.json").write_text('{"format": 1}')
    with pytest.raises(UserError, match=r"bundle\.json cannot be read"):
        latentcrs.load(copied_bundle)


def test_another_text_encoder_than_the_bundles_is_refused_by_name(
    bundle: Path, recommender: Recommender, tmp_path: Path
) -> None:
    encoder = recommender.text_encoder
    assert isinstance(encoder, LocalEncoder)
    other_folder = tmp_path / "another-minilm"
    other_folder.mkdir()
    for path in encoder.folder.rglob("*"):
        if path.is_file():
            copy = other_folder / path.relative_to(encoder.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    config = other_folder / "config.json"
    config.write_text(config.read_text().replace('"layer_norm_eps": 1e-12', '"layer_norm_eps": 1e-05'))
    other = open_encoder(f"st:{other_folder}", "cpu")
    assert other.id != encoder.id
    with pytest.raises(UserError, match=rf"{encoder.id}, not {other.id}"):
        latentcrs.load(bundle, text_encoder=other)
    assert latentcrs.load(bundle, text_encoder=encoder).recommend(request=REQUEST)


def test_a_bundle_is_served_on_a_processor_that_encodes_requests_in_int8(
    recommender: Recommender, people: list[list[str]]
) -> None:
    if not has_int8():
        pytest.skip("int8 products are for x86 alone")
    eight_bits = Recommender(recommender.bundle, open_encoder("minilm", "cpu", precision="int8"))
    for words in ("a comedy from the nineties", "something slow and sad about war"):
        first, second = (
            [item.item_id for item in one.recommend(people[0], words, k=20)] for one in (recommender, eight_bits)
        )
        assert len(set(first) & set(second)) >= 16


def test_there_is_no_pickle_in_the_bundle(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == {
        "bundle.json",
        "behaviour.safetensors",
        "intent.safetensors",
        "items.parquet",
        "intents.parquet",
        "index.faiss",
        "clues.safetensors",
        "outside.parquet",
    }
    for path in bundle.iterdir():
        begins = path.read_bytes()[:8]
        kind = {".json": b"{", ".parquet": b"PAR1", ".faiss": b"Ix"}.get(path.suffix)
        if kind is not None:
            assert begins.startswith(kind)
        else:  # safetensors: the length of a JSON header, then the header
            length = int.from_bytes(begins, "little")
            assert path.read_bytes()[8 : 8 + length].strip().startswith(b"{")


def test_where_items_come_again_those_of_the_history_are_recommended(
    copied_bundle: Path, recommender: Recommender
) -> None:
    past = recommender.bundle.items["item_id"][:40].to_list()
    assert not {item.item_id for item in recommender.recommend(past, k=500)} & set(past)
    manifest = copied_bundle / "bundle.json"
    told = json.loads(manifest.read_text("utf-8"))
    told["dataset"]["repeats"] = True
    manifest.write_text(json.dumps(told), "utf-8")
    again = latentcrs.load(copied_bundle)
    assert len({item.item_id for item in again.recommend(past, k=500)} & set(past)) > 5


def test_similar_items_are_those_that_people_choose_alike(recommender: Recommender) -> None:
    items = recommender.bundle.items
    alien = recommender.find_item("Alien")
    found = recommender.similar_items(alien, k=10)
    assert len(found) == 10 and alien not in {item_id for item_id, _, _ in found}
    cosines = [cosine for *_, cosine in found]
    assert cosines == sorted(cosines, reverse=True) and 0 < cosines[-1] <= cosines[0] <= 1
    everything = recommender.similar_items(alien, k=len(items))
    assert cosines[0] > everything[len(everything) // 2][2]
    only = recommender.similar_items(alien, k=5, where=pl.col("genres").list.contains("Comedy"))
    comedies = set(items.filter(pl.col("genres").list.contains("Comedy"))["item_id"])
    assert {item_id for item_id, _, _ in only} <= comedies
    with pytest.raises(UserError, match="no item with the id"):
        recommender.similar_items("nothing")
