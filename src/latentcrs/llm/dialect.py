"""What one OpenAI-compatible endpoint accepts of a request, learned from its refusals."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from latentcrs.llm.model import ChatRequest
from latentcrs.llm.schema import strict_schema

SchemaMode = Literal["json_schema", "json_object", "prompt"]
WEAKER: dict[SchemaMode, SchemaMode] = {"json_schema": "json_object", "json_object": "prompt"}


@dataclass(frozen=True)
class Dialect:
    """How requests to one endpoint are written.

    schema: how it is told the JSON schema of an answer. limit: its name for the most tokens of an answer (OpenAI's
    reasoning models take only the newer one). omitted: parameters it refuses. lengths: whether schemas may bound the
    length of a string.
    """

    schema: SchemaMode = "json_schema"
    lengths: bool = True
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omitted: frozenset[str] = frozenset()

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """The body of a chat completion request, without the model's name."""
        said, schema = [message.as_json() for message in request.messages], request.schema
        body: dict[str, Any] = {"messages": said, self.limit: request.max_tokens}
        body |= {"temperature": request.temperature, "seed": request.seed}
        if request.on_text is not None:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if schema is not None:
            wanted = strict_schema(schema, self.lengths)
            if self.schema == "json_schema":
                named = {"name": schema.__name__, "strict": True, "schema": wanted}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            else:
                _tell(said, f"Answer with one JSON object that fits this JSON schema: {json.dumps(wanted)}")
                if self.schema == "json_object":
                    body["response_format"] = {"type": "json_object"}
        return {name: value for name, value in body.items() if name not in self.omitted}

    def without(self, refused: str) -> Dialect | None:
        """The dialect that does without what an endpoint refused, by the words of its refusal; None where these name
        nothing that could be left out.
        """
        named = set(re.findall(r"\w+", refused.lower()))
        if "max_completion_tokens" in named and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if self.lengths and {"maxlength", "minlength"} & named:
            return replace(self, lengths=False)
        for name in ("stream_options", "temperature", "seed"):
            if name in named and name not in self.omitted:
                return replace(self, omitted=self.omitted | {name})
        return None

    def with_weaker_schema(self) -> Dialect | None:
        """The dialect that asks less where an answer must fit a schema; None where nothing is less."""
        return replace(self, schema=WEAKER[self.schema]) if self.schema in WEAKER else None


def _tell(said: list[dict[str, str]], words: str) -> None:
    """Add `words` to the system message, or put them first as one."""
    if said and said[0]["role"] == "system":
        said[0] = {"role": "system", "content": f"{said[0]['content']}\n\n{words}"}
    else:
        said.insert(0, {"role": "system", "content": words})
