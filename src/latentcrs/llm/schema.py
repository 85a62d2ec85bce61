"""JSON schemas in the dialect that constrained decoding understands everywhere."""

from typing import Any

from pydantic import BaseModel

# What OpenAI's strict mode and llama.cpp both honour. A key they do not know is worse than none: OpenAI refuses the
# whole request, llama.cpp silently generates unconstrained text (its server does for `pattern`, its grammars for
# `uniqueItems`). Pydantic still checks all of it afterwards.
KEPT = frozenset(
    "type enum const properties items prefixItems minItems maxItems anyOf description "
    "minimum maximum exclusiveMinimum exclusiveMaximum".split()
)
LENGTHS = frozenset({"minLength", "maxLength"})  # llama.cpp needs them to end a string; OpenAI refuses them


def strict_schema(schema: type[BaseModel], lengths: bool = True) -> dict[str, Any]:
    """The JSON schema of a pydantic model: every property required, no others allowed, only keys understood anywhere.

    lengths: whether strings keep their least and greatest length.

    Raises:
        ValueError: the model has an object with free keys (a dict), which strict schemas cannot say.
    """
    whole = schema.model_json_schema()
    kept = KEPT | LENGTHS if lengths else KEPT
    strict = _strict(whole, kept)
    if "$defs" in whole:
        strict["$defs"] = {name: _strict(part, kept) for name, part in whole["$defs"].items()}
    return strict


def _strict(part: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    if "$ref" in part:  # strict mode allows nothing beside it
        return {"$ref": part["$ref"]}
    kept = {key: value for key, value in part.items() if key in keys}
    if "oneOf" in part:
        kept["anyOf"] = part["oneOf"]
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(each, keys) for each in kept["anyOf"]]
    if "items" in kept:
        kept["items"] = _strict(kept["items"], keys)
    if "prefixItems" in kept:
        kept["prefixItems"] = [_strict(each, keys) for each in kept["prefixItems"]]
    if part.get("type") == "object":
        if "properties" not in part:
            raise ValueError("an object with free keys has no strict JSON schema; name its fields")
        kept["properties"] = {name: _strict(each, keys) for name, each in part["properties"].items()}
        kept["required"] = list(part["properties"])
        kept["additionalProperties"] = False
    return kept
