"""What a program holds on its path and must give back: records that it reserved, sockets that it found, and a lock.

A reference has a name, which every pointer to what it is about carries as its `id`: giving it back makes them all dead.
States that hold different things are never joined (`explore`): what one path must give back, the other must not.
"""

from __future__ import annotations

from typing import NamedTuple


class Reference(NamedTuple):
    """A record of map `map`, reserved by the instruction `at`, or, without a map, a socket that was looked up there.
    While it `may_be_null`, it may be none at all. With a `dynptr`, it must be given back even then."""

    at: int
    map: str | None
    may_be_null: bool = True
    dynptr: bool = False


class Lock(NamedTuple):
    """The lock in the value of map `map` that pointers of the id `id` point to, taken by the instruction `at`."""

    at: int
    map: str
    id: int
