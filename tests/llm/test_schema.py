from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from latentcrs.llm.schema import strict_schema


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(default=9, ge=1)


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = Field(
        default="Rex", max_length=20, pattern="^[A-Z]", examples=["Rex"], description="what it hears to"
    )


class Home(BaseModel):
    pets: set[Annotated[Cat | Dog, Field(discriminator="kind")]] = set()
    first: Cat | None = None
    at: tuple[float, float] = (0.0, 0.0)


def keys(part: Any) -> set[str]:
    """Every key of a schema that is no property's name."""
    if isinstance(part, list):
        return set().union(*map(keys, part))
    if not isinstance(part, dict):
        return set()
    named = [each for name in ("properties", "$defs") for each in part.get(name, {}).values()]
    rest = [value for name, value in part.items() if name not in ("properties", "$defs")]
    return set(part) | keys(named) | keys(rest)


def test_only_keys_that_every_decoder_knows_are_left() -> None:
    schema = strict_schema(Home)
    assert not keys(schema) & {"default", "title", "examples", "uniqueItems", "pattern", "oneOf", "discriminator"}
    assert schema["$defs"]["Dog"]["properties"]["name"] == {
        "type": "string",
        "maxLength": 20,
        "description": "what it hears to",
    }
    assert "maxLength" not in keys(strict_schema(Home, lengths=False))
    assert schema["properties"]["pets"]["items"]["anyOf"] == [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]


def test_every_property_is_required_and_no_other_allowed() -> None:
    schema = strict_schema(Home)
    for part in (schema, *schema["$defs"].values()):
        assert part["required"] == list(part["properties"]) and part["additionalProperties"] is False


def test_a_field_called_like_a_key_stays() -> None:
    class Odd(BaseModel):
        title: str
        default: int

    assert list(strict_schema(Odd)["properties"]) == ["title", "default"]


def test_an_object_with_free_keys_is_refused() -> None:
    class Free(BaseModel):
        anything: dict[str, int]

    with pytest.raises(ValueError, match="name its fields"):
        strict_schema(Free)
