"""The shape of a guard's document: which keys there are, of which type. Meaning is checked in `load`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SkipValidation, WithJsonSchema
from pydantic_core import PydanticKnownError

from appliance.rules.document.schema import Entry, ModeWord, RuleId, SetEntry, SetName, Version


def _listed(value: Any) -> Any:
    """A single text as a list of one."""
    if not isinstance(value, list | str):
        raise PydanticKnownError("string_type")
    return [value] if isinstance(value, str) else value


_TARGETS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2}]}
Targets = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1, max_length=2), WithJsonSchema(_TARGETS)]


class GuardRuleEntry(Entry):
    """One entry of `rules:` of a guard"""

    id: RuleId
    match: dict[str, Any] | None = None
    action: Literal["permit", "deny", "redirect", "count"]
    to: Targets | None = Field(
        None, description='where the action redirect sends the call: "127.0.0.1:8080", "[::1]:8080", ":8080", or two'
    )
    errno: str | None = Field(None, description="what the action deny has the call end with; EPERM if absent")
    mode: ModeWord | None = None
    description: str = ""


class GuardDefaults(Entry):
    """`defaults:` of a guard's document"""

    mode: ModeWord = Field("enforce", description="mode of rules that name none")


class GuardEntry(Entry):
    """`guard:`"""

    default: Literal["permit", "deny"] = Field("permit", description="what becomes of a call that no rule decides")
    # each is checked by itself, so that one run tells every mistake
    rules: list[SkipValidation[GuardRuleEntry]] = Field(default_factory=list)


class GuardDocument(Entry):
    """A guard's document: alone in its file."""

    version: Version = 1
    defaults: GuardDefaults = Field(default_factory=lambda: GuardDefaults.model_validate({}))
    sets: dict[SetName, SetEntry] = Field(default_factory=dict)
    guard: GuardEntry = Field(description="rules about sockets")
