from __future__ import annotations

import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from misbehaving_server import HANG, Answer, MisbehavingServer, refusal, stream, whole
from pydantic import BaseModel, Field

from latentcrs.llm import Call, ChatRequest, Message, ModelError, answer
from latentcrs.llm.model import longest_text
from latentcrs.llm.openai_model import LARGEST_ANSWER, OpenAIModel

KEY = "sk-this-must-stay-secret"
ASK = [Message("system", "You answer."), Message("user", "A comedy?")]
CALL = Call("reply")


class Taste(BaseModel):
    genre: Literal["Comedy", "Drama"]


class Name(BaseModel):
    name: str = Field(max_length=9)


def model(
    server: MisbehavingServer, *answers: Answer, timeout: float = 5.0, retries: int = 0, **rest: int
) -> OpenAIModel:
    server.answers = list(answers)
    return OpenAIModel(server.url, "tiny", KEY, timeout, retries, **rest)


def failure(chat: OpenAIModel, streaming: bool = False, **options: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        chat.complete(ChatRequest(ASK, CALL, on_text=(lambda _: None) if streaming else None, **options))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    return caught.value


def test_an_answer_comes_with_its_tokens_and_the_name_of_the_model(server: MisbehavingServer) -> None:
    done = model(server, whole("Try Airplane!")).complete(ChatRequest(ASK, CALL, max_tokens=9, seed=4))
    assert (done.text, done.input_tokens, done.output_tokens) == ("Try Airplane!", 7, 3)
    assert (done.model, done.cached, done.finished) == ("tiny-1", False, True)
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions" and asked.headers["authorization"] == f"Bearer {KEY}"
    expected = {"model": "tiny", "max_tokens": 9, "temperature": 0.0, "seed": 4}
    assert expected.items() <= asked.body.items()
    assert asked.body["messages"] == [
        {"role": "system", "content": "You answer."},
        {"role": "user", "content": "A comedy?"},
    ]


def test_a_streamed_answer_arrives_in_pieces_and_is_counted(server: MisbehavingServer) -> None:
    pieces: list[str] = []
    done = model(server, stream(["Try ", "Airplane", "!"])).complete(ChatRequest(ASK, CALL, on_text=pieces.append))
    assert pieces == ["Try ", "Airplane", "!"] and done.text == "Try Airplane!"
    assert (done.input_tokens, done.output_tokens) == (7, 3)
    assert server.asked[0].body["stream_options"] == {"include_usage": True}


def test_an_endpoint_that_counts_no_tokens_is_taken_as_it_is(server: MisbehavingServer) -> None:
    done = model(server, whole("Yes.", usage=None)).complete(ChatRequest(ASK, CALL))
    assert (done.text, done.input_tokens, done.output_tokens) == ("Yes.", 0, 0)


def test_a_text_ended_by_max_tokens_is_an_answer_that_says_so(server: MisbehavingServer) -> None:
    assert not model(server, whole("Try Air", "length")).complete(ChatRequest(ASK, CALL)).finished


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("answered", "outcome"),
    [
        (Answer(delay=HANG), "timeout"),
        (Answer(dribble=0.05), "timeout"),
        (refusal(429, "slow down"), "rate limited"),
        (refusal(500, "the machine is on fire"), "server error"),
        (Answer(b"<html>Bad gateway</html>", 502, kind="text/html"), "server error"),
        (refusal(401, f"Incorrect API key provided: {KEY}"), "bad key"),
        (refusal(403, "not for you"), "bad key"),
        (refusal(404, "there is no model tiny"), "bad request"),
        (refusal(400, "much too long", code="context_length_exceeded"), "prompt too long"),
        (refusal(400, "16384 tokens exceed", type="exceed_context_size_error"), "prompt too long"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_whatever_goes_wrong_is_one_error_with_its_outcome(
    server: MisbehavingServer, answered: Answer, outcome: str, streaming: bool
) -> None:
    error = failure(model(server, answered, timeout=0.4), streaming)
    assert error.outcome == outcome
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("answered", "outcome"),
    [
        (Answer(b"{not json"), "invalid"),
        (Answer(b"\xff\xfe"), "invalid"),
        (Answer(b"not json at all", kind="text/plain"), "invalid"),
        (Answer(b"[" * 100_000), "invalid"),
        (Answer(b'{"hello": 1}'), "invalid"),
        (Answer(b'{"choices": []}'), "invalid"),
        (Answer(b'{"choices": [{"message": {"content": 3}}]}'), "invalid"),
        (Answer(b'{"choices": [{"message": null}]}'), "invalid"),
        (Answer(whole("half").body[:-20], missing=20), "unreachable"),
        (whole(""), "empty"),
        (whole(" \n"), "empty"),
        (whole(None), "empty"),
        (whole("x" * 200_000), "answer too long"),
        (whole(None, refusal="I would rather not."), "refused"),
        (whole("Try", "content_filter"), "refused"),
    ],
)
def test_an_unusable_answer_is_an_error_with_its_outcome(
    server: MisbehavingServer, answered: Answer, outcome: str
) -> None:
    assert failure(model(server, answered)).outcome == outcome


@pytest.mark.parametrize(
    ("answered", "outcome"),
    [
        (stream(["Try ", "Air"], None, missing=100), "cut short"),  # the connection ends
        (stream(["Try ", "Air"], None), "cut short"),  # the stream ends, and no reason was given
        (stream([], None, missing=100), "unreachable"),
        (stream(["Try "], None, [{"error": {"message": "out of memory"}}]), "server error"),
        (stream([]), "empty"),
        (stream(["x" * 1000] * 200), "answer too long"),
        (Answer(b"data: {not json\n\n", kind="text/event-stream"), "invalid"),
        (Answer(b'data: {"choices": 3}\n\n', kind="text/event-stream"), "invalid"),
    ],
)
def test_a_stream_that_goes_wrong_is_an_error_with_its_outcome(
    server: MisbehavingServer, answered: Answer, outcome: str
) -> None:
    assert failure(model(server, answered), streaming=True).outcome == outcome


@pytest.mark.parametrize("size", [10_000, 1_000_000, 10_000_000])
@pytest.mark.parametrize("before", [0, 1])
def test_of_a_piece_however_long_no_more_is_told_than_an_answer_may_have(
    server: MisbehavingServer, size: int, before: int
) -> None:
    heard: list[str] = []
    chat = model(server, stream(["Try "] * before + ["x" * size]))
    with pytest.raises(ModelError) as caught:
        chat.complete(ChatRequest(ASK, CALL, max_tokens=10, on_text=heard.append))
    assert caught.value.outcome == "answer too long" and len(caught.value.text) <= longest_text(10) + 1
    assert len("".join(heard)) <= longest_text(10)


def test_a_whole_answer_of_any_size_is_not_read_to_its_end(server: MisbehavingServer) -> None:
    assert failure(model(server, whole("x" * (LARGEST_ANSWER + 1)))).outcome == "answer too long"


def test_what_a_useless_answer_cost_is_known(server: MisbehavingServer) -> None:
    error = failure(model(server, whole("", usage=(40, 2))))
    assert (error.input_tokens, error.output_tokens) == (40, 2)


def test_an_address_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        chat = OpenAIModel(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny", timeout=1, max_retries=0)
        assert failure(chat).outcome == "unreachable"


@pytest.mark.parametrize(
    "bad", [refusal(500, "oh"), refusal(503, "busy"), Answer(delay=HANG)], ids=["500", "503", "hangs"]
)
def test_a_passing_failure_is_tried_again(server: MisbehavingServer, bad: Answer) -> None:
    assert model(server, bad, whole("Yes."), timeout=0.4, retries=1).complete(ChatRequest(ASK, CALL)).text == "Yes."
    assert len(server.asked) == 2


def test_a_rate_limit_is_waited_for_as_long_as_the_server_asks(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("openai._base_client.time.sleep", slept.append)
    limited = refusal(429, "slow down")
    limited.headers["Retry-After"] = "3"
    assert model(server, limited, whole("Yes."), retries=2).complete(ChatRequest(ASK, CALL)).text == "Yes."
    assert slept == [3.0] and len(server.asked) == 2


def test_a_server_that_asks_for_more_patience_than_the_time_out_is_not_waited_for(server: MisbehavingServer) -> None:
    limited = refusal(429, "come back tomorrow")
    limited.headers["Retry-After"] = "100"
    assert failure(model(server, limited, timeout=5, retries=2)).outcome == "rate limited"
    assert len(server.asked) == 1


def test_the_key_is_in_no_message_no_log_and_no_repr(
    server: MisbehavingServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chat = model(server, refusal(401, f"Incorrect API key provided: {KEY}"))
    told = [str(failure(chat)), repr(chat), chat.id]
    chat = model(server, refusal(404, f"no model tiny for {KEY}"), retries=1)
    error = failure(chat)
    told += [str(error), repr(error), caplog.text]
    assert "LATENTCRS_LLM_KEY" in told[0]
    assert not any(KEY in words for words in told)
    assert chat.id == f"tiny@{server.url.split('/')[2]}"


def test_another_services_key_in_the_environment_is_not_sent(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-somebody-else")
    server.answers = [whole("Yes.")]
    OpenAIModel(server.url, "tiny").complete(ChatRequest(ASK, CALL))
    assert "somebody-else" not in str(server.asked[0].headers)


def test_no_more_requests_are_under_way_than_allowed(server: MisbehavingServer) -> None:
    answered = whole("Yes.")
    answered.delay = 0.05
    chat = model(server, answered, at_once=2)
    with ThreadPoolExecutor(6) as pool:
        texts = list(pool.map(lambda _: chat.complete(ChatRequest(ASK, CALL)).text, range(6)))
    assert texts == ["Yes."] * 6 and server.most_at_once == 2


def test_what_a_listener_raises_is_raised_as_it_is(server: MisbehavingServer) -> None:
    def listen(_: str) -> None:
        raise ValueError("the window was closed")

    with pytest.raises(ValueError, match="the window was closed"):
        model(server, stream(["Try "])).complete(ChatRequest(ASK, CALL, on_text=listen))


def test_characters_that_no_encoding_has_do_no_harm(server: MisbehavingServer) -> None:
    body = whole("Y").body.replace(b'"Y"', b'"Y\\ud83d"')
    done = model(server, Answer(body)).complete(ChatRequest([Message("user", "half an emoji: \ud83d")], CALL))
    assert done.text == "Y?" and server.asked[0].body["messages"][0]["content"] == "half an emoji: ?"


def test_an_answer_is_constrained_by_its_schema_and_validated(server: MisbehavingServer) -> None:
    chat = model(server, whole('{"genre": "Comedy"}'))
    assert answer(chat, ASK, CALL, Taste).genre == "Comedy"
    asked = server.asked[0].body["response_format"]
    assert asked["type"] == "json_schema" and asked["json_schema"]["strict"] is True
    assert asked["json_schema"]["schema"]["properties"]["genre"]["enum"] == ["Comedy", "Drama"]


@pytest.mark.parametrize(
    "text", ['```json\n{"genre": "Drama"}\n```', 'Sure! {"genre": "Drama"}', '\n{"genre":"Drama"} ']
)
def test_json_in_wrapping_is_unwrapped(server: MisbehavingServer, text: str) -> None:
    assert answer(model(server, whole(text)), ASK, CALL, Taste).genre == "Drama"


def test_an_answer_that_does_not_fit_is_asked_for_once_more_with_what_was_wrong(server: MisbehavingServer) -> None:
    chat = model(server, whole('{"genre": "Western"}'), whole('{"genre": "Drama"}'))
    assert answer(chat, ASK, CALL, Taste).genre == "Drama"
    said, asked = server.asked[1].body["messages"][-2:]
    assert said == {"role": "assistant", "content": '{"genre": "Western"}'}
    assert "genre: Input should be 'Comedy' or 'Drama'" in asked["content"]


@pytest.mark.parametrize(
    "text", ['{"genre": "Western"}', '{"style": 1}', "[]", "Comedy", "{" * 5000, '{"genre": "Com']
)
def test_an_answer_that_never_fits_is_an_error(server: MisbehavingServer, text: str) -> None:
    with pytest.raises(ModelError, match="does not fit") as caught:
        answer(model(server, whole(text)), ASK, CALL, Taste)
    assert caught.value.outcome == "invalid" and len(server.asked) == 2


def test_json_that_max_tokens_ended_is_cut_short(server: MisbehavingServer) -> None:
    with pytest.raises(ModelError) as caught:
        answer(model(server, whole('{"genre": "Com', "length")), ASK, CALL, Taste)
    assert caught.value.outcome == "cut short" and len(server.asked) == 1


def test_an_endpoint_without_json_schema_is_told_it_in_the_prompt_from_then_on(server: MisbehavingServer) -> None:
    chat = model(server, refusal(400, "response_format.type must be json_object"), whole('{"genre": "Comedy"}'))
    assert answer(chat, ASK, CALL, Taste).genre == "Comedy"
    assert answer(chat, ASK, CALL, Taste).genre == "Comedy"
    formats = [asked.body["response_format"]["type"] for asked in server.asked]
    assert formats == ["json_schema", "json_object", "json_object"]
    system = server.asked[1].body["messages"][0]["content"]
    assert system.startswith("You answer.") and '"enum": ["Comedy", "Drama"]' in system


def test_an_endpoint_without_any_response_format_gets_none(server: MisbehavingServer) -> None:
    no = refusal(400, "unknown field response_format")
    assert answer(model(server, no, no, whole('{"genre": "Comedy"}')), ASK, CALL, Taste).genre == "Comedy"
    assert "response_format" not in server.asked[2].body


def test_a_request_that_is_refused_in_every_form_changes_nothing(server: MisbehavingServer) -> None:
    chat = model(server, *[refusal(400, "no")] * 3, whole('{"genre": "Comedy"}'))
    assert failure(chat, schema=Taste).outcome == "bad request"
    assert answer(chat, ASK, CALL, Taste).genre == "Comedy"
    assert server.asked[-1].body["response_format"]["type"] == "json_schema"


def test_parameters_that_an_endpoint_refuses_are_left_out_from_then_on(server: MisbehavingServer) -> None:
    newer = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    fixed = "Unsupported value: 'temperature' does not support 0 with this model."
    chat = model(
        server, refusal(400, newer, param="max_tokens"), refusal(400, fixed, param="temperature"), whole("Yes.")
    )
    assert chat.complete(ChatRequest(ASK, CALL, max_tokens=50)).text == "Yes."
    assert chat.complete(ChatRequest(ASK, CALL, max_tokens=50)).text == "Yes."
    for asked in server.asked[2:]:
        assert asked.body["max_completion_tokens"] == 50
        assert not {"max_tokens", "temperature"} & set(asked.body)
    assert json.dumps(server.asked[2].body) == json.dumps(server.asked[3].body) and len(server.asked) == 4


def test_an_endpoint_that_knows_no_length_of_strings_keeps_the_rest_of_the_schema(server: MisbehavingServer) -> None:
    no = "Invalid schema for response_format 'Name': In context=('properties', 'name'), 'maxLength' is not permitted."
    chat = model(
        server, refusal(400, no, param="response_format"), whole('{"name": "far too long"}'), whole('{"name": "Rex"}')
    )
    assert answer(chat, ASK, CALL, Name).name == "Rex"
    schemas = [asked.body["response_format"]["json_schema"]["schema"] for asked in server.asked]
    assert [schema["properties"]["name"] for schema in schemas] == [{"type": "string", "maxLength": 9}] + [
        {"type": "string"}
    ] * 2
