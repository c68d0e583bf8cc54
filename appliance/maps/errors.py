"""What a map refuses, and how its control plane says so.

InputRefused
  MapRefused               a declaration that no map can be made of
TidegateError
  MapError                 one operation on an open map failed; `number` is its errno
    MapFull                no room for another entry           E2BIG, ENOSPC
    EntryExists            NOEXIST was asked, and it is there  EEXIST
    NoSuchEntry            nothing there under that key        ENOENT, an index beyond an array (a KeyError too)
    OperationRefused       this kind of map can't do that      EINVAL (a ValueError too)
      TargetRefused        nothing can be redirected there     EOPNOTSUPP
    MapFrozen              contents of a read-only map         EPERM
    MapUnreadable          contents of a write-only map        EPERM
"""

from __future__ import annotations

import errno

from appliance.ebpf.map_types import MapType
from appliance.errors import InputRefused, TidegateError


class MapRefused(InputRefused):
    """No map can be made as declared. `map` is its name, `type` its kind."""

    def __init__(self, map: str, type: MapType, what: str, *, hint: str) -> None:
        super().__init__(f"map {map!r} ({type.value}): {what}", hint=hint)
        self.map = map
        self.type = type


class MapError(TidegateError):
    """An operation on the map `map` failed with errno `number`."""

    number = 0
    meaning = ""  # what is said of a native operation that failed; {} is max_entries
    advice: str | None = None

    def __init__(self, map: str, what: str, *, hint: str | None = None) -> None:
        super().__init__(f"map {map!r}: {what}", hint=hint)
        self.map = map


class MapFull(MapError):
    number = errno.E2BIG
    meaning = "it is full: max_entries is {}"
    advice = "delete entries, or raise max_entries"


class EntryExists(MapError):
    number = errno.EEXIST
    meaning = "there is an entry under that key already"


class NoSuchEntry(MapError, KeyError):
    number = errno.ENOENT
    meaning = "there is no entry under that key (max_entries is {})"


class OperationRefused(MapError, ValueError):
    number = errno.EINVAL
    meaning = "this kind of map can't do that, or not with that key"


class TargetRefused(OperationRefused):
    number = errno.EOPNOTSUPP


class MapFrozen(MapError):
    number = errno.EPERM


class MapUnreadable(MapError):
    number = errno.EPERM
