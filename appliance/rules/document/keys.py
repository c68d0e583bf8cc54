"""`per:` of a rate to the parts of a key.

ip.src                      the address in IPv4, the /64 in IPv6
ip.src/24                   so many bits of IPv4; up to 32 they are IPv4's, more are IPv6's: ip.src/48, ip.src/128
ip.src/24/48                of both
[ip.src, tcp.dport]         both must be the same
flow                        whole addresses, protocol and ports
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from appliance.rules.document.fields import FieldReader
from appliance.rules.field_hints import which_field
from appliance.rules.layers import Layer
from appliance.rules.matchers import Matcher, find_matcher
from appliance.rules.remembered import HOST, LARGEST_KEY, KeyPart
from appliance.rules.values import AddressKind, BadValue, NumberKind

FLOW = "flow"
WHOLE = (32, 128)

_FLOW = (
    KeyPart("ip.src", "source", Layer.IP, WHOLE),
    KeyPart("ip.dst", "destination", Layer.IP, WHOLE),
    KeyPart("ip.proto", "protocol", Layer.IP),
    KeyPart("source port", "source_port", Layer.IP),
    KeyPart("destination port", "destination_port", Layer.IP),
)


def read_key(texts: list[str], fields: FieldReader, refuse: Callable[[int, BadValue], None]) -> tuple[KeyPart, ...]:
    """The parts of a key; `refuse(number, why)` is told each text that can't be read."""
    parts: list[KeyPart] = []
    for number, text in enumerate(texts):
        try:
            for part in _read(text.strip(), fields):
                _check(part, parts)
                parts.append(part)
        except BadValue as bad:
            refuse(number, bad)
    return tuple(parts)


def _read(text: str, fields: FieldReader) -> Iterator[KeyPart]:
    if text == FLOW:
        yield from _FLOW
        return
    name, slash, lengths = text.partition("/")
    known = find_matcher(name)
    if known is None or known.slice:
        raise BadValue(f"there is no field {name!r}", f"{which_field(name)}; `{FLOW}` is addresses, protocol and ports")
    matcher = fields.find(name)
    if len(matcher.fields) != 1:
        raise BadValue(f"{name} stands for several places of a frame", "name one of them")
    if matcher.holds_both_families:
        yield KeyPart(text, matcher.fields[0], matcher.layer, _lengths(matcher, lengths if slash else None))
    elif isinstance(matcher.kind, NumberKind | AddressKind):
        if slash:
            raise BadValue(f"{name} is no address, and has no prefix", f"write {name}")
        yield KeyPart(name, matcher.fields[0], matcher.layer)
    else:
        raise BadValue(f"a {matcher.kind.name} can't be what a rate is per", "make it a condition of the rule")


def _lengths(matcher: Matcher, text: str | None) -> tuple[int, int]:
    """Leading bits of IPv4 and IPv6."""
    if text is None:
        return HOST
    hint = f"write {matcher.name}, {matcher.name}/48, or {matcher.name}/24/48 for IPv4 and IPv6"
    words = text.split("/")
    if len(words) > 2 or not all(word.isascii() and word.isdecimal() and len(word) < 4 for word in words):
        raise BadValue(f"{text!r} isn't a prefix length", hint)
    numbers = [int(word) for word in words]
    if len(numbers) == 2:
        v4, v6 = numbers
    else:
        is_v4 = numbers[0] <= 32 and 4 in getattr(matcher.kind, "families", ())
        v4, v6 = (numbers[0], HOST[1]) if is_v4 else (HOST[0], numbers[0])
    if not (1 <= v4 <= 32 and 1 <= v6 <= 128):
        raise BadValue(f"a prefix of {text} is out of range", "IPv4 has 1 to 32 bits, IPv6 1 to 128")
    return v4, v6


def _check(part: KeyPart, before: list[KeyPart]) -> None:
    """Refuse what is there twice, and what is too much."""
    if any(part.field == other.field for other in before):
        raise BadValue(f"{part.name} is there already", "remove one of the two")
    if sum(other.size for other in before) + part.size > LARGEST_KEY:
        raise BadValue(f"the key is larger than {LARGEST_KEY} bytes", "leave something out")
