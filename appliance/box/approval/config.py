"""`trust:` of a box's document: whose approvals count, and what becomes of the rest.

    trust:
      mode: enforce                                        warn, off
      keys: [keys/release.pub, {file: keys/old.pub, until: 2027-03-31}]
      revoked: keys/revoked
      key: /var/lib/tidegate/keeper.pem                    the box's own, which its keeper holds

A box that says nothing has a key of its own, made at the first start, and enforces: it runs what it has proved itself,
and nothing else. One that names `keys` and no `key` signs nothing: it runs files that these keys have approved.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from appliance.rules.document.schema import Entry

FOREVER = 1 << 62  # seconds
MOST_KEYS = 64


class Mode(Enum):
    """What becomes of a build that is not approved."""

    ENFORCE = "enforce"  # it does not run
    WARN = "warn"  # it runs, and that is told and counted
    OFF = "off"  # it runs, and nobody asks


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("day", "{value} isn't a day, as in 2027-03-31", {"value": repr(text)}) from None
    return text


_DAY_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})
Day = Annotated[str, AfterValidator(_day), _DAY_SCHEMA]


class KeyEntry(Entry):
    """One entry of `keys:` that counts for a time."""

    file: str = Field(description="a public key, as `tidegate keygen` writes it, relative to this document")
    since: Day | None = Field(None, description="the first day (UTC) on which it is trusted, as in 2027-01-01")
    until: Day | None = Field(None, description="the last day (UTC) on which it is trusted")


def _file_alone(given: Any) -> Any:
    """A file's name alone is a key that counts at all times."""
    return {"file": given} if isinstance(given, str) else given


Key = Annotated[KeyEntry, BeforeValidator(_file_alone, str | KeyEntry)]


class TrustEntry(Entry):
    """`trust:`"""

    mode: Literal["enforce", "warn", "off"] = Field(
        "enforce", description="what becomes of code that isn't approved: it doesn't run; it runs and is told; it runs"
    )
    keys: Annotated[list[Key], Field(max_length=MOST_KEYS)] = Field(
        default=[], description="public keys whose approvals count, beside the box's own"
    )
    revoked: str | None = Field(None, description="a file of keys, approvals and serial numbers that count no more")
    key: str | None = Field(
        None, description="the box's own private key, made if there is none; not needed where `keys` are given"
    )


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """A public key's file, and when it counts, in seconds since 1970."""

    path: Path
    not_before: int = 0
    not_after: int = FOREVER


@dataclass(frozen=True, slots=True)
class TrustConfig:
    """`trust:`, with paths. `key` is None where the document names none; `has_own_key` says whether there is one."""

    mode: Mode = Mode.ENFORCE
    keys: tuple[KeyConfig, ...] = ()
    revoked: Path | None = None
    key: Path | None = None

    @property
    def has_own_key(self) -> bool:
        """Whether the box signs what it proves."""
        return self.mode is not Mode.OFF and (self.key is not None or not self.keys)

    @classmethod
    def of(cls, entry: TrustEntry, folder: Path) -> TrustConfig:
        """What the document in `folder` says."""
        return cls(
            Mode(entry.mode),
            tuple(_key(each, folder) for each in entry.keys),
            None if entry.revoked is None else folder / entry.revoked,
            None if entry.key is None else folder / entry.key,
        )


BY_DEFAULT = TrustConfig()


def _key(entry: KeyEntry, folder: Path) -> KeyConfig:
    since = 0 if entry.since is None else _midnight(entry.since)
    until = FOREVER if entry.until is None else _midnight(entry.until, days=1) - 1
    return KeyConfig(folder / entry.file, since, until)


def _midnight(day: str, days: int = 0) -> int:
    """In seconds since 1970, so many days later."""
    return int(datetime.combine(date.fromisoformat(day) + timedelta(days), time(), UTC).timestamp())
