"""What a box asks its opener, and what it is answered: one datagram each way, in this order, on a Unix socket pair.

    request   ┌────────┬──────┬───────────────┬──────────────────────┬─────────────────┐
              │ number │ verb │ interface[16] │ slots and their sizes│ muted, fanout   │     always as long
              └────────┴──────┴───────────────┴──────────────────────┴─────────────────┘
    answer    {"number": 7, "result": {…}}                     with two descriptors (SCM_RIGHTS) for OPEN
              {"number": 7, "error": {"type": "InterfaceError", "what": …, "where": …, "hint": …}}

The one with privilege reads the request, which is a structure of fixed size: it parses nothing. Answers are JSON, as it
is the box that reads them, and it may believe them. The number tells a late answer from the one that is waited for.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

from hooks.af_packet.fanout import NEW_GROUP, Fanout
from hooks.af_packet.geometry import Geometry
from hooks.errors import HookError, InterfaceError, PrivilegeError
from hooks.linux.if_link import IFNAMSIZ

MOST_BYTES = 1 << 16  # of an answer
MOST_TEXT = 1 << 11  # characters of one text in it: a machine may have thousands of interfaces to name
MOST_MAPPED = 64 << 20  # bytes of the rings of one socket; those of the largest MTU have 48 MiB
_SLOT_SIZES = frozenset(1 << power for power in range(11, 18))
_MOST_HEADROOM = 1 << 12
_MOST_SLOTS = 1 << 16

_ERRORS = {kind.__name__: kind for kind in (HookError, InterfaceError, PrivilegeError)}


class Verb(IntEnum):
    """What is asked."""

    OPEN = 1  # a packet socket with its rings
    ISOLATE = 2
    RELEASE = 3  # put an isolated interface back
    CLOSE_AGAIN = 4  # an isolated interface, if it is open to the host
    END = 5  # put everything back


class Request(ctypes.Structure):
    """One question. From `slot_size` on all is OPEN's; `shared` says that `key` and `group` are those of a fanout."""

    _fields_ = (
        ("number", ctypes.c_uint32),
        ("verb", ctypes.c_uint32),
        ("interface", ctypes.c_char * IFNAMSIZ),
        ("slot_size", ctypes.c_uint32),
        ("receive_slots", ctypes.c_uint32),
        ("transmit_slots", ctypes.c_uint32),
        ("headroom", ctypes.c_uint32),
        ("muted", ctypes.c_uint32),
        ("shared", ctypes.c_uint32),
        ("key", ctypes.c_uint32),
        ("group", ctypes.c_int32),
    )

    @classmethod
    def to_open(cls, interface: str, geometry: Geometry, fanout: Fanout | None, muted: bool) -> Self:
        """Ask for what `open_sockets` is given. Raises InterfaceError if no interface can have that name."""
        return cls(
            verb=Verb.OPEN,
            interface=_name(interface),
            slot_size=geometry.slot_size,
            receive_slots=geometry.receive_slots,
            transmit_slots=geometry.transmit_slots,
            headroom=geometry.headroom,
            muted=muted,
            shared=fanout is not None,
            key=fanout.key if fanout else 0,
            group=fanout.group if fanout else NEW_GROUP,
        )

    @classmethod
    def about(cls, verb: Verb, interface: str = "") -> Self:
        """Ask what needs no more than a name. Raises InterfaceError if no interface can have that."""
        return cls(verb=verb, interface=_name(interface))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """What somebody sent. Raises HookError if it is none."""
        if len(data) != ctypes.sizeof(cls):
            raise HookError(f"a request has {ctypes.sizeof(cls)} bytes, not {len(data)}")
        return cls.from_buffer_copy(data)

    @property
    def name(self) -> str:
        """Of the interface; with U+FFFD for what is no text."""
        return str(self.interface.decode(errors="replace"))

    @property
    def geometry(self) -> Geometry:
        """Raises HookError for rings that no box asks for."""
        sizes = (self.slot_size, self.receive_slots, self.transmit_slots, self.headroom)
        possible = (
            self.slot_size in _SLOT_SIZES
            and 0 < self.receive_slots <= _MOST_SLOTS
            and 0 < self.transmit_slots <= _MOST_SLOTS
            and self.headroom <= _MOST_HEADROOM
        )
        if not possible or Geometry(*sizes).mapped_bytes > MOST_MAPPED:
            raise HookError(f"no rings are opened with slots of {sizes[0]} bytes, {sizes[1]} and {sizes[2]} of them")
        return Geometry(*sizes)

    @property
    def fanout(self) -> Fanout | None:
        """Raises HookError for a group that there can't be."""
        if not self.shared:
            return None
        if not NEW_GROUP <= self.group <= 0xFFFF:
            raise HookError(f"there is no fanout group {self.group}")
        return Fanout(self.key, self.group)


def _name(interface: str) -> bytes:
    name = interface.encode()
    if len(name) >= IFNAMSIZ or b"\0" in name:
        raise InterfaceError("no such interface", where=interface)
    return name


@dataclass(frozen=True, slots=True)
class Answer:
    """To the request of that number: a `result`, or the error that is to be raised."""

    number: int
    result: Mapping[str, Any]
    error: Exception | None = None

    def encode(self) -> bytes:
        """As a datagram of at most MOST_BYTES."""
        told = {"result": dict(self.result)} if self.error is None else {"error": _described(self.error)}
        return json.dumps({"number": self.number, **told}, ensure_ascii=False).encode(errors="replace")

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """What the opener sent."""
        told = json.loads(data)
        error = _error(told["error"]) if "error" in told else None
        return cls(told["number"], told.get("result", {}), error)


def _described(error: Exception) -> dict[str, Any]:
    """An error of ours with its fields, an OSError with its number, and any other one by its kind and words."""
    if isinstance(error, HookError):
        where = None if error.where is None else _shortened(str(error.where))
        hint = None if error.hint is None else _shortened(error.hint)
        known = type(error).__name__ if type(error).__name__ in _ERRORS else HookError.__name__
        return {"type": known, "what": _shortened(error.what), "where": where, "hint": hint}
    if isinstance(error, OSError) and error.errno is not None:
        return {"type": "OSError", "errno": error.errno, "what": _shortened(error.strerror or "")}
    return {"type": HookError.__name__, "what": _shortened(f"{type(error).__name__}: {error}")}


def _error(told: Mapping[str, Any]) -> Exception:
    if told["type"] == "OSError":
        return OSError(told["errno"], told["what"])
    return _ERRORS[told["type"]](told["what"], where=told.get("where"), hint=told.get("hint"))


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
