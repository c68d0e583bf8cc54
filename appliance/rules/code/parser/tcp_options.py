"""The options of a TCP header that rules ask for: whether there are some, and what two of them say.

What is found is one number of 64 bits. Of an option that is there twice the last one counts, as Linux reads them
(tcp_parse_options).

       63      56 55            40 39                      0
      ┌──────────┬────────────────┬─────────────────────────┐
      │  shift   │      MSS       │    a bit for each kind   │
      └──────────┴────────────────┴─────────────────────────┘
"""

from __future__ import annotations

from appliance.ir import I8, I16, I64, U1, U64, Pointer
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.parser.cursor import Cursor
from appliance.rules.code.parser.options import OptionWalk

_MSS, _WINDOW_SCALE = 2, 3
_KINDS = {"mss": _MSS, "wscale": _WINDOW_SCALE, "sack_perm": 4, "timestamp": 8}
_BITS_OF_KINDS = 40
_MSS_SHIFT, _SCALE_SHIFT = 40, 56

FIELDS = (*(f"tcp.options.{name}" for name in _KINDS), "tcp.options.mss_val", "tcp.options.wscale.shift")


def parse_tcp_options(cursor: Cursor, start: U64, length: U64) -> None:
    """Set the fields of FIELDS from so many bytes of options, which begin that far into the frame."""
    code = cursor.code
    found = _TcpOptions.call(cursor, start, length)
    for name, kind in _KINDS.items():
        cursor.set(**{f"tcp.options.{name}": code.and_(code.shr(found, kind), 1)})
    cursor.set(**{"tcp.options.mss_val": code.and_(code.shr(found, _MSS_SHIFT), 0xFFFF)})
    cursor.set(**{"tcp.options.wscale.shift": code.shr(found, _SCALE_SHIFT)})


class _TcpOptions(OptionWalk):
    NAME = "tcp_options"

    def __init__(self, module: BpfModule) -> None:
        super().__init__(module)
        self._found = self.code.variable(I64, 0)

    def note_kind(self, kind: U64) -> None:
        code, found = self.code, self._found
        with code.if_(code.compare(kind, "<", _BITS_OF_KINDS)):
            found.set(code.or_(found.get(), code.shl(code.value(1, I64), kind)))

    def note_value(self, option: Pointer, kind: U64, size: U64) -> None:
        code = self.code
        with code.if_(self._is(kind, _MSS, size, 4)):
            self.need(option, 4)
            value: U64 = code.resize(code.swap_bytes(code.load(code.at(option, 2), I16, align=2)), I64)
            self._put(value, _MSS_SHIFT, 0xFFFF)
        with code.if_(self._is(kind, _WINDOW_SCALE, size, 3)):
            self.need(option, 3)
            value = code.resize(code.load(code.at(option, 2), I8, align=1), I64)
            self._put(value, _SCALE_SHIFT, 0xFF)

    def answer(self) -> U64:
        return self._found.get()

    def _is(self, kind: U64, wanted: int, size: U64, length: int) -> U1:
        return self.code.and_(self.code.compare(kind, "==", wanted), self.code.compare(size, "==", length))

    def _put(self, value: U64, shift: int, mask: int) -> None:
        """Replace a piece of what was found."""
        rest = self.code.and_(self._found.get(), ((1 << 64) - 1) ^ (mask << shift))
        self._found.set(self.code.or_(rest, self.code.shl(value, shift)))
