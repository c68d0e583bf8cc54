"""The options of an IPv4 header: which types there are, as 256 bits in four words, the lowest types in the first."""

from __future__ import annotations

from appliance.ir import I64, U64, Pointer
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.lookups.branchless import all_ones_if_equal
from appliance.rules.code.parser.cursor import Cursor
from appliance.rules.code.parser.options import OptionWalk
from appliance.rules.layers import IP_OPTION_WORDS
from appliance.rules.values import BITS_OF_WORD


def parse_ip_options(cursor: Cursor, start: U64, length: U64) -> None:
    """Set IP_OPTION_WORDS from so many bytes of options, which begin that far into the frame."""
    for number, name in enumerate(IP_OPTION_WORDS):
        cursor.set(**{name: _IpOptions.call(cursor, start, length, number)})


class _IpOptions(OptionWalk):
    """A walk that finds one of the words: a function gives no more. Packets with options are rare."""

    NAME = "ip_options"
    MORE = ("word",)

    def __init__(self, module: BpfModule) -> None:
        super().__init__(module)
        self._found = self.code.variable(I64, 0)

    def note_kind(self, kind: U64) -> None:
        code = self.code
        bit = code.shl(code.value(1, I64), code.and_(kind, BITS_OF_WORD - 1))
        is_here = all_ones_if_equal(code, code.shr(kind, BITS_OF_WORD.bit_length() - 1), code["word"])
        self._found.set(code.or_(self._found.get(), code.and_(bit, is_here)))

    def note_value(self, option: Pointer, kind: U64, size: U64) -> None:
        """Nobody asks for what they say."""

    def answer(self) -> U64:
        return self._found.get()
