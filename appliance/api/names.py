"""Things by name, with an error that says which names there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from appliance.api.errors import NoSuchName

T = TypeVar("T")


class Named(Mapping[str, T]):
    """A mapping that can't be changed; an unknown name raises NoSuchName. `kind` and `where` are for its message.
    Any thread."""

    def __init__(self, kind: str, things: Mapping[str, T], where: str) -> None:
        self._kind = kind
        self._things = dict(things)
        self._where = where

    def __getitem__(self, name: str) -> T:
        if name not in self._things:
            raise NoSuchName(self._kind, name, self._things, self._where)
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)
