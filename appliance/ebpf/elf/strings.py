"""Tables of NUL-terminated strings, as ELF and BTF have them: a name is the offset at which it starts.

    offset   0   1           6           12
           +---+-----------+-----------+---------
           | 0 | x d p . c 0 | . m a p s 0 | …
           +---+-----------+-----------+---------

Strings may share their tails, so a hostile table could spell one long string from every one of its bytes. What a
table may give in all is therefore a multiple of its size.
"""

from __future__ import annotations

from appliance.ebpf.object_errors import ObjectError

_SHARING = 16
_FREE = 4096


class StringTable:
    """Strings by offset, each decoded once. `name` is what messages call the table.
    For one thread at a time: reading remembers."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._known: dict[int, str] = {}
        self._budget = _SHARING * len(data) + _FREE

    def at(self, offset: int) -> str:
        """The string that starts at `offset`. Raises ObjectError if there is none."""
        known = self._known.get(offset)
        if known is None:
            known = self._known[offset] = self._decode(offset)
        return known

    def find(self, text: str) -> int | None:
        """The offset of a string that shares its bytes with no longer one; None if there is none."""
        at = self._data.find(b"\0" + text.encode() + b"\0")
        return at + 1 if at >= 0 else None

    def _decode(self, offset: int) -> str:
        end = self._data.find(b"\0", offset) if offset < len(self._data) else -1
        if end < 0:
            raise ObjectError(f"no string starts at byte {offset}", where=self._name)
        self._budget -= end - offset
        if self._budget < 0:
            raise ObjectError("the strings overlap too much to be honest", where=self._name)
        try:
            return self._data[offset:end].decode()
        except UnicodeDecodeError:
            raise ObjectError(f"the string at byte {offset} is not UTF-8", where=self._name) from None
