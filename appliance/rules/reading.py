"""How a document's values are read: a number, a range, a prefix, a flag of some kind (`values`), or what is wrong."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Any

from appliance.rules.errors import did_you_mean, near
from appliance.rules.ranges import Range
from appliance.rules.values import MAC, MAC_BITS, AddressKind, BadValue, FlagsKind, NumberKind

MOST_LISTED = 40  # names that a hint lists when none is near

_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,20}|0x[0-9a-fA-F]{1,20}")


def read_number(kind: NumberKind, value: Any) -> int:
    """One number of that kind, by digits or by name. Raises BadValue."""
    if isinstance(value, bool) or not isinstance(value, str if kind is MAC else int | str):
        raise BadValue(f"{_shown(value)} isn't {_with_article(kind.name)}", _number_hint(kind))
    number = value if isinstance(value, int) else _number_of_text(kind, value.strip())
    if not 0 <= number <= kind.maximum:
        raise BadValue(f"{value} is out of range: {_with_article(kind.name)} is 0 to {kind.maximum}")
    return number


def _number_of_text(kind: NumberKind, text: str) -> int:
    if kind is MAC:
        if not _MAC.fullmatch(text):
            raise BadValue(f"{text!r} isn't a MAC address", "write it like 02:00:5e:10:00:01")
        return int(text.replace(":", "").replace("-", ""), 16)
    if text.lower() in kind.names:
        return kind.names[text.lower()]
    if kind.size > 1 and re.fullmatch(f"[0-9a-fA-F]{{2}}(:[0-9a-fA-F]{{2}}){{{kind.size - 1}}}", text):
        return int(text.replace(":", ""), 16)
    if not _NUMBER.fullmatch(text):
        raise BadValue(f"{text!r} isn't {_with_article(kind.name)}", _number_hint(kind, text))
    return int(text, 0) if text[:2] == "0x" else int(text)


def _number_hint(kind: NumberKind, text: str = "") -> str:
    if kind is MAC:
        return 'write it like "02:00:5e:10:00:01", in quotes'
    if kind.names and (len(kind.names) <= MOST_LISTED or near(text, kind.names)):
        return f"a number, or a name: {did_you_mean(text, kind.names)}"
    return 'write a number, a range like "1024-65535", or the name of a set like "@name"'


def read_range(kind: NumberKind, value: Any) -> Range:
    """A number, or a range `low-high` that includes both; of MAC addresses also a prefix. Raises BadValue."""
    if kind is MAC and isinstance(value, str) and "/" in value:
        return _mac_prefix(value.strip())
    for low_text, high_text in _splits(value) if isinstance(value, str) else ():
        if _is_bound(kind, low_text) and _is_bound(kind, high_text):
            low, high = read_number(kind, low_text), read_number(kind, high_text)
            if low > high:
                raise BadValue(f"the range {value} is backwards", f"write {high_text.strip()}-{low_text.strip()}")
            return low, high
    number = read_number(kind, value)
    return number, number


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """The ways to part a text at a dash: names have dashes, too."""
    for index, letter in enumerate(text):
        if letter == "-":
            yield text[:index], text[index + 1 :]


def _is_bound(kind: NumberKind, text: str) -> bool:
    """Whether that is a number or a name; other words with a dash in them are no ranges."""
    pattern = _MAC if kind is MAC else _NUMBER
    return bool(pattern.fullmatch(text.strip())) or text.strip().lower() in kind.names


def _mac_prefix(text: str) -> Range:
    """`00:00:5e/24`, or the whole address with a length: bytes that are left out are 0."""
    given, _, length = text.partition("/")
    pieces = given.replace("-", ":").split(":")
    is_number = length.isascii() and length.isdecimal()
    if len(pieces) > 6 or not all(re.fullmatch("[0-9a-fA-F]{2}", piece) for piece in pieces) or not is_number:
        raise BadValue(f"{text!r} isn't a prefix of MAC addresses", "write it like 00:00:5e/24")
    size = int(length)
    if not 0 <= size <= MAC_BITS:
        raise BadValue(f"{text!r} isn't a prefix of MAC addresses", f"its length is 0 to {MAC_BITS} bits")
    low = int("".join(pieces).ljust(12, "0"), 16)
    rest = (1 << (MAC_BITS - size)) - 1
    if low & rest:
        raise BadValue(f"{text} has bits set behind its prefix", f"the prefix is {_mac_text(low & ~rest)}/{size}")
    return low, low | rest


def _mac_text(address: int) -> str:
    return address.to_bytes(6, "big").hex(":")


def read_prefix(kind: AddressKind, value: Any) -> tuple[int, Range]:
    """A prefix or one address: its family (4 or 6) and the range of addresses. Raises BadValue."""
    hint = "write an address like 192.0.2.1 or a prefix like 192.0.2.0/24 or 2001:db8::/32"
    if not isinstance(value, str):
        raise BadValue(f"{_shown(value)} isn't {_with_article(kind.name)}", hint)
    text = value.strip()
    address, _, length = text.partition("/")
    family = 6 if ":" in address else 4
    bits = 128 if family == 6 else 32
    try:
        packed = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, address)
        is_number = length.isascii() and length.isdecimal()
        size = bits if "/" not in text else int(length) if is_number else -1
    except (OSError, ValueError) as error:
        raise BadValue(f"{value!r} isn't {_with_article(kind.name)}", hint) from error
    if not 0 <= size <= bits:
        raise BadValue(
            f"{value!r} isn't {_with_article(kind.name)}", f"the length of an IPv{family} prefix is 0 to {bits}"
        )
    if family not in kind.families:
        hint = "ip.src and ip.dst take both families" if family == 4 else "this field holds IPv4 addresses"
        raise BadValue(f"{value!r} isn't {_with_article(kind.name)}", hint)
    low = int.from_bytes(packed, "big")
    host_mask = (1 << (bits - size)) - 1
    if low & host_mask:
        network = ipaddress.ip_network(text, strict=False)
        raise BadValue(f"{text} has bits set behind its prefix", f"the network is {network}, one host {address}")
    return family, (low, low | host_mask)


def read_addresses(kind: AddressKind, value: Any) -> tuple[int, Range]:
    """A prefix, one address, or a range `first-last` with both: its family and its addresses. Raises BadValue."""
    first_text, dash, last_text = value.partition("-") if isinstance(value, str) else ("", "", "")
    if not dash:
        return read_prefix(kind, value)
    ends = [read_prefix(kind, text) for text in (first_text, last_text)]
    (family, first), (other, last) = ends
    if family != other or "/" in value:
        raise BadValue(
            f"{value!r} isn't a range of addresses", "write two addresses of one family: 192.0.2.1-192.0.2.9"
        )
    if first > last:
        raise BadValue(f"the range {value} is backwards", f"write {last_text.strip()}-{first_text.strip()}")
    return family, (first[0], last[1])


def read_flags(kind: FlagsKind, value: Any) -> int:
    """The bits of one name. Raises BadValue."""
    if not isinstance(value, str) or value.lower() not in kind.bits:
        raise BadValue(f"{_shown(value)} isn't {_with_article(kind.name)}", did_you_mean(value, kind.bits))
    return kind.bits[value.lower()]


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouI' else 'a'} {name}"


def _shown(value: Any) -> str:
    """How a wrong value is named in a message: its text, or what it is when it is no scalar."""
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)
