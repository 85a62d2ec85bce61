from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError

import pytest
from pydantic import BaseModel, Field

from latentcrs.llm import Call, ChatRequest, Message, ModelError, answer
from latentcrs.llm.embedded import NAME
from latentcrs.llm.local_model import LocalModel
from latentcrs.llm.openai_model import OpenAIModel

CALL = Call("rules", "c1", 2)
ASK = [
    Message("system", "You extract what a person wants from a catalogue of films, as JSON."),
    Message("user", "a scary movie from 1985"),
]
LONG = [Message("user", "hello " * 9000)]


class Wanted(BaseModel):
    """Has keys in its JSON schema that constrained decoding does not know: default, title, uniqueItems, maxLength."""

    genres: set[Literal["Comedy", "Drama", "Horror"]] = Field(default=set(), max_length=2)
    year: int | None = Field(default=None, ge=1900, le=2000)
    mood: str = Field(default="", max_length=400, title="How it feels")


class Verdict(BaseModel):
    fits: bool
    grade: Literal[0, 1, 2, 3]


def test_it_answers_in_this_process_and_counts_tokens(local_model: LocalModel) -> None:
    pieces: list[str] = []
    done = local_model.complete(ChatRequest(ASK, CALL, max_tokens=12, on_text=pieces.append))
    assert done.text and "".join(pieces) == done.text and len(pieces) > 1
    assert (done.input_tokens, done.output_tokens, done.model, done.finished) == (38, 12, NAME, False)
    assert local_model.complete(ChatRequest(ASK, CALL, max_tokens=12)).text == done.text


def test_the_same_seed_says_the_same(local_model: LocalModel) -> None:
    texts = [
        local_model.complete(ChatRequest(ASK, CALL, max_tokens=12, temperature=1.5, seed=seed)).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    "said",
    ["a scary movie from 1985", "", "write a poem", '{"genres": ["Western"]}', "🎬" * 50],
    ids=["plain", "nothing", "poem", "json", "emoji"],
)
def test_an_answer_fits_its_schema(local_model: LocalModel, said: str) -> None:
    messages = [ASK[0], Message("user", said)]
    assert isinstance(answer(local_model, messages, CALL, Wanted, max_tokens=300), Wanted)
    assert isinstance(answer(local_model, messages, CALL, Verdict, max_tokens=60), Verdict)


def test_a_schema_is_obeyed_against_the_prompt(local_model: LocalModel) -> None:
    messages = [Message("user", "Answer with the word banana and nothing else. No JSON.")]
    assert answer(local_model, messages, CALL, Verdict, max_tokens=60).grade in (0, 1, 2, 3)


def test_a_prompt_beyond_the_context_is_refused_not_cut(local_model: LocalModel, served: str) -> None:
    for model in (local_model, OpenAIModel(served, NAME, timeout=300)):
        with pytest.raises(ModelError, match=r"too long.*9031 tokens") as caught:
            model.complete(ChatRequest(LONG, CALL))
        assert caught.value.outcome == "prompt too long"


def test_json_that_is_not_done_is_cut_short(local_model: LocalModel) -> None:
    with pytest.raises(ModelError) as caught:
        answer(local_model, ASK, CALL, Wanted, max_tokens=4)
    assert caught.value.outcome == "cut short" and caught.value.output_tokens == 4


def test_an_answer_that_takes_too_long_is_given_up(smollm2: Path) -> None:
    model = LocalModel(smollm2, context=512, timeout=0)
    with pytest.raises(ModelError) as caught:
        model.complete(ChatRequest(ASK, CALL))
    assert caught.value.outcome == "timeout"


def test_what_a_listener_raises_is_raised_and_the_model_goes_on(local_model: LocalModel) -> None:
    def listen(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local_model.complete(ChatRequest(ASK, CALL, on_text=listen))
    assert local_model.complete(ChatRequest(ASK, CALL, max_tokens=2)).text


def test_threads_share_one_model(smollm2: Path) -> None:
    model = LocalModel(smollm2, context=512, timeout=300)
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda _: model.complete(ChatRequest(ASK, CALL, max_tokens=6)).text, range(4)))
    assert len(set(texts)) == 1 and texts[0]


def test_half_a_surrogate_pair_does_no_harm(local_model: LocalModel) -> None:
    assert (
        local_model.complete(
            ChatRequest([Message("user", "half an emoji: \ud83d\x00")], CALL, max_tokens=3)
        ).input_tokens
        > 0
    )


def test_a_file_that_is_no_model_is_one_sentence(tmp_path: Path, smollm2: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing else")
    with pytest.raises(ModelError, match="cannot load") as caught:
        LocalModel(broken).complete(ChatRequest(ASK, CALL))
    assert caught.value.outcome == "unreachable"


def test_the_model_in_this_process_answers_nobody_else(smollm2: Path) -> None:
    model = LocalModel(smollm2, context=512, timeout=300)
    model.complete(ChatRequest(ASK, CALL, max_tokens=1))
    body = urllib.request.Request(
        f"{model._server.listening_address}/v1/chat/completions", b"{}", {"Content-Type": "application/json"}
    )
    with pytest.raises(HTTPError, match="401"):
        urllib.request.urlopen(body)


def test_the_served_model_streams_counts_and_fits_a_schema(served: str) -> None:
    model, pieces = OpenAIModel(served, NAME, timeout=300), []  # type: ignore[var-annotated]
    done = model.complete(ChatRequest(ASK, CALL, max_tokens=8, on_text=pieces.append))
    assert "".join(pieces) == done.text and len(pieces) > 1
    assert (done.input_tokens, done.output_tokens, done.model) == (38, 8, NAME)
    assert isinstance(answer(model, ASK, CALL, Verdict, max_tokens=80), Verdict)
