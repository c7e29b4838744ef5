"""What every wire model shares: strict requests, documented replies, bounded texts and pairs, named refusals."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from indexes.model import AttributeValue

MAX_PAIRS = 16
MAX_KEY_CHARS = 64
MAX_VALUE_CHARS = 512
MAX_COUNT = 2**31 - 1
"""The largest number a client may name where it is kept: what every catalog and every JSON column holds."""


class RequestModel(BaseModel):
    """What a client sends. Unknown fields are refused by name; numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ReplyModel(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)


class Listed(ReplyModel):
    """What can be an entry of a list that pages."""

    id: str


def _storable(text: str) -> str:
    # PostgreSQL cannot store U+0000 and nothing encodes half a surrogate pair: refused at the door, on every catalog.
    if "\x00" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise PydanticCustomError("invalid_value", "must be Unicode text without U+0000 and without lone surrogates")
    return text


def _printable(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        raise PydanticCustomError("invalid_value", "must not contain control characters or line breaks")
    return _storable(text)


def _in_a_path(text: str) -> str:
    if "/" in text or text in (".", ".."):
        raise PydanticCustomError("invalid_value", "must not contain a slash: it stands in paths in place of an id")
    return text


STORABLE = AfterValidator(_storable)
OrdersScore = Annotated[
    float | None,
    Field(description="How much the text reads as if it gave orders to a language model, 0..1; null: not looked for."),
]
Text = Annotated[str, STORABLE]
Name = Annotated[str, Field(max_length=256), AfterValidator(_printable)]
Id = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
Label = Annotated[Id, AfterValidator(_in_a_path)]
DocumentKey = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_printable)]
_PairKey = Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS), AfterValidator(_printable)]
_PairText = Annotated[str, Field(max_length=MAX_VALUE_CHARS), STORABLE]

Metadata = Annotated[
    dict[_PairKey, _PairText],
    Field(
        max_length=MAX_PAIRS,
        description="Up to 16 pairs for the app's own use: keys up to 64 characters, values strings up to 512.",
    ),
]
AttributesIn = Annotated[
    dict[_PairKey, _PairText | float | bool],
    Field(
        max_length=MAX_PAIRS,
        description="Up to 16 pairs that searches can filter by: keys up to 64 characters, values strings up to 512 "
        "characters, numbers or booleans.",
    ),
]
AttributesOut = dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Refused:
    """Marks a known field that cannot be honoured: any value but null and those `allowed` is refused with `instead`.

    Used as `Annotated[type, Refused("what to do instead", allowed=(False,))]`.
    """

    instead: str
    allowed: tuple[object, ...] = ()

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check before the type is: the sentence is more useful than a type error."""
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Say in OpenAPI what the refusal says."""
        return {**handler(schema), "description": f"Not supported. {self.instead}"}

    def _check(self, value: object) -> object:
        if value is not None and value not in self.allowed:
            raise PydanticCustomError("unsupported_parameter", "is not supported. {instead}", {"instead": self.instead})
        return value
