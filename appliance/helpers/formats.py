"""Formats: what text helpers print, as the kernel reads it (bpf_bprintf_prepare in kernel/bpf/helpers.c).

%  [0 + - space]…  width  conversion
   d i u x X   with l and ll: numbers of 64 bits, else of 32
   c           one character
   s           a string
   p px pK     a number as addresses are written: 16 digits, if no width is given
   pI4 pi4     the 4 bytes of an address:  192.0.2.1, 192.000.002.001
   pI6 pi6     the 16 bytes of an address: 2001:0db8:…, 20010db8…
%% is a percent sign

In a kernel there is more to print: symbols at an address (ps pS pB), strings of the kernel and of processes (pks pus),
and any width.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

MOST_ARGUMENTS = 12  # MAX_BPRINTF_VARARGS
MOST_WIDTH = 1024  # MAX_BPRINTF_BUF: no line is longer
_PRINTABLE = re.compile(rb"[\t-\r -~]*")
_CONVERSION = re.compile(rb"%([0+\- ]*)([1-9][0-9]*)?(pI4|pi4|pI6|pi6|px|pK|p|s|c|(?:ll?)?[diuxX])")
_OF_A_KERNEL = re.compile(rb"%([0+\- ]*)([1-9][0-9]*)?(ps|pS|pB|pks|pus)")
_ENDS_A_WORD = re.compile(rb"$|[\t-\r !-/:-@\[-`{-~]")  # what the kernel wants behind %s and a bare %p


class FormatRefused(ValueError):
    """A format that the kernel refuses, too; the words say why and follow "a format that"."""


class Printed(Enum):
    """What an argument is to its conversion."""

    SIGNED = "a signed number"
    UNSIGNED = "a number"
    ADDRESS = "a number, written as an address"
    CHARACTER = "a character"
    STRING = "a constant string of a read-only map"
    IPV4 = "4 bytes of the packet or of a map value"
    IPV6 = "16 bytes of the packet or of a map value"


@dataclass(frozen=True, slots=True)
class Conversion:
    """One argument's part of the text. `letter` is the last one of the conversion, `bits` how much of a number counts.

    `flags` are those that mean something to this conversion, each once; `width` is 0 if none is given.
    """

    printed: Printed
    letter: str
    flags: str = ""
    width: int = 0
    bits: int = 64

    @property
    def padding(self) -> str:
        """Flags and width, as they stand in a format of C and of Python alike."""
        return self.flags + (str(self.width) if self.width else "")


@dataclass(frozen=True, slots=True)
class Format:
    """A text in pieces: what is printed as it stands, and conversions."""

    pieces: tuple[bytes | Conversion, ...]

    @property
    def conversions(self) -> tuple[Conversion, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Conversion))


@cache
def parse_format(text: bytes, *, in_kernel: bool = False) -> Format:
    """The format in `text`, which ends at its first zero; `in_kernel`, as one that only a kernel prints. Raises
    FormatRefused."""
    text, zero, _ = text.partition(b"\0")
    if not zero:
        raise FormatRefused("no zero ends")
    if not _PRINTABLE.fullmatch(text):
        raise FormatRefused("has a character that is not printable ASCII")
    pieces: list[bytes | Conversion] = []
    position = 0
    while position < len(text):
        percent = text.find(b"%", position)
        if percent < 0:
            percent = len(text)
        if percent > position:
            pieces.append(text[position:percent])
        if text[percent : percent + 2] == b"%%":
            pieces.append(b"%")
            position = percent + 2
        elif percent < len(text):
            conversion, position = _conversion(text, percent, in_kernel=in_kernel)
            pieces.append(conversion)
        else:
            position = percent
    return Format(tuple(pieces))


def _conversion(text: bytes, at: int, *, in_kernel: bool) -> tuple[Conversion, int]:
    found = (_OF_A_KERNEL.match(text, at) if in_kernel else None) or _CONVERSION.match(text, at)
    if found is None or (found[3] in (b"p", b"s") and not _ENDS_A_WORD.match(text, found.end())):
        raise FormatRefused(f"has `{text[at : at + 8].decode()}`, which is not a conversion that programs have")
    width = int(found[2] or 0)
    if width > MOST_WIDTH and not in_kernel:
        raise FormatRefused(f"asks for a width of {width}, which is more than {MOST_WIDTH}")
    name = found[3].decode()
    letter = name.lstrip("l")
    printed, meant = _MEANINGS[name if name[0] == "p" else letter]
    flags = "".join(flag for flag in meant if flag in found[1].decode())
    bits = 64 if name[0] in "lp" else 32
    return Conversion(printed, letter, flags, width, bits), found.end()


# Conversion -> what its argument is, and the flags that mean something to it.
_MEANINGS: dict[str, tuple[Printed, str]] = {
    **dict.fromkeys("di", (Printed.SIGNED, "-+ 0")),
    **dict.fromkeys("uxX", (Printed.UNSIGNED, "-0")),
    **dict.fromkeys(("p", "px", "pK"), (Printed.ADDRESS, "-0")),
    **dict.fromkeys(("ps", "pS", "pB"), (Printed.ADDRESS, "")),
    **dict.fromkeys(("pks", "pus"), (Printed.STRING, "")),
    "c": (Printed.CHARACTER, "-"),
    "s": (Printed.STRING, "-"),
    **dict.fromkeys(("pI4", "pi4"), (Printed.IPV4, "")),
    **dict.fromkeys(("pI6", "pi6"), (Printed.IPV6, "")),
}
ADDRESS_SIZES = {Printed.IPV4: 4, Printed.IPV6: 16}
