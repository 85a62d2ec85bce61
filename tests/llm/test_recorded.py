"""What asks a language model, with the replies of one of 1.5 billion parameters as it gave them (`recorded`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from misbehaving_server import Answer, MisbehavingServer
from recorded import REPLIES, RecordedReplies

from latentcrs.converse.grounded import SentenceCheck
from latentcrs.converse.judge import described, grades, reordered
from latentcrs.data import ColumnKind
from latentcrs.hear import Context, Hearer
from latentcrs.hear.llm import ModelHearer
from latentcrs.llm import Call, ChatRequest, Message, ModelError, complete
from latentcrs.llm.describing import paragraph, request_of
from latentcrs.llm.openai_model import OpenAIModel
from latentcrs.llm.prompts import prompt
from latentcrs.users.role_play import spoken_line

FILMS: list[dict[str, Any]] = [
    {"title": "Airplane!", "year": 1980, "genres": ["Comedy"]},
    {"title": "Schindler's List", "year": 1993, "genres": ["Drama", "War"]},
    {"title": "The Naked Gun", "year": 1988, "genres": ["Comedy", "Crime"]},
    {"title": "The Exorcist", "year": 1973, "genres": ["Horror"]},
    {"title": "Groundhog Day", "year": 1993, "genres": ["Comedy", "Romance"]},
    {"title": "Unforgiven", "year": 1992, "genres": ["Western"]},
]
COLUMNS: dict[str, ColumnKind] = {"year": "year", "genres": "multi-category"}


@pytest.fixture(scope="module")
def films() -> Hearer:
    return Hearer(pl.DataFrame(FILMS), COLUMNS)


@pytest.mark.parametrize(
    ("said", "rules"),
    [
        ("Hi, I'm looking for a good comedy tonight", {"genres: Comedy"}),
        ("please, no horror", {"genres: not Horror"}),
    ],
)
def test_a_small_model_reads_plain_requests(films: Hearer, said: str, rules: set[str]) -> None:
    reading = ModelHearer(RecordedReplies(), films).extract(said, Context(reply="What can I find for you?"))
    assert {str(one.rule) for one in reading.rules} == rules


def test_a_judgement_is_used_or_refused_and_never_half() -> None:
    fitting, others = [FILMS[0], FILMS[2], FILMS[4]], [FILMS[3], FILMS[5], FILMS[1]]
    items = [others[0], *fitting, others[1]]
    given, refused = list[int](), ""
    try:
        given = grades(RecordedReplies(), Call("judge"), "a light comedy", [], items, COLUMNS, others[2:])
    except ModelError as error:
        refused = str(error)
    assert len(given) == len(items) or "nothing to do with the request" in refused
    assert sorted(reordered(given)) == list(range(len(given)))


def test_what_is_said_of_items_is_true_of_them_or_not_shown() -> None:
    lines = [described(film, COLUMNS) for film in FILMS[:3]]
    asked = prompt("reply", request="something funny from the eighties", items=lines)
    messages = [Message("system", prompt("reply_rules")), Message("user", asked)]
    told = complete(RecordedReplies(), ChatRequest(messages, Call("reply"), max_tokens=100))
    check = SentenceCheck(lines, ["something funny from the eighties"])
    try:
        said = check.end(told.text, told.finished)
    except ModelError as error:
        said = error.outcome
    assert all(not check.wrong(sentence) for sentence in check.said)
    assert any(film["title"] in said for film in FILMS[:3]) or said == "invented"


def test_a_description_ends_and_has_no_markup() -> None:
    told = complete(RecordedReplies(), request_of("Groundhog Day (1993). genres: Comedy, Romance."))
    kept = paragraph(told.text)
    assert kept and kept[-1] in '.!?…”"' and not {"*", "#", "<"} & set(kept)


def test_a_played_person_says_one_line() -> None:
    role = prompt("user", thing="movie", history=["Ghost"], facts=["genres: Comedy, Romance", "year: 1993"])
    asked = [Message("system", role), Message("user", prompt("user_asked", first=True, thing="movie"))]
    line = spoken_line(complete(RecordedReplies(), ChatRequest(asked, Call("role-play"), max_tokens=80)).text)
    assert line and "\n" not in line


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_the_formats_of_providers_are_read(server: MisbehavingServer, provider: str) -> None:
    """Bodies written by hand from the providers' documentation."""
    told = json.loads((REPLIES / f"{provider}.format.json").read_text())
    model = OpenAIModel(server.url, "asked", max_retries=0)
    request = ChatRequest([Message("user", "A comedy?")], Call("reply"))

    server.answers = [Answer(json.dumps(told["whole"]).encode())]
    answered = complete(model, request)
    assert (answered.text, answered.finished) == ("Try Airplane!", True)
    assert (answered.input_tokens, answered.output_tokens) == (11, 4)
    assert answered.model == told["whole"]["model"]

    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in told["stream"]) + "data: [DONE]\n\n"
    server.answers = [Answer(events.encode(), kind="text/event-stream")]
    pieces: list[str] = []
    streamed = complete(model, ChatRequest(request.messages, request.call, on_text=pieces.append))
    assert streamed.text == "".join(pieces) == "Try Airplane!"
    assert (streamed.input_tokens, streamed.output_tokens) == (11, 4)

    for error in told["errors"]:
        server.answers = [Answer(json.dumps(error["body"]).encode(), error["status"])]
        with pytest.raises(ModelError) as caught:
            complete(model, request)
        assert caught.value.outcome == error["outcome"]


def test_every_recorded_reply_says_what_was_asked_and_what_it_cost() -> None:
    files = [file for file in Path(REPLIES).glob("*.json") if ".format." not in file.name]
    assert files
    for file in files:
        reply = json.loads(file.read_text())
        assert reply["asked"] and reply["output_tokens"] > 0 and reply["milliseconds"] > 0, file.name
