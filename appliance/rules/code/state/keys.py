"""Keys of what rules remember: the fields that a rate is per, one behind the other.

    address   16 bytes in network order, IPv4 mapped into IPv6: ::ffff:192.0.2.1; bits behind the prefix are 0
    number     8 bytes in host order

The keys that many rules share, hosts, are written once before the rules, where a rule wants them; every other one at
its rule. By single addresses of IPv6 each subscriber would have 2**64 buckets, and could push everybody else's out: so
a host is a /64 there. A low half that isn't 0 keeps IPv4 apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from llvmlite import ir

from appliance.ir import I64, U64, Code, Pointer
from appliance.rules.code.fields import SIDES, Fields
from appliance.rules.matchers import version_of
from appliance.rules.model import Rule
from appliance.rules.remembered import HOST, KeyPart

_ALL = (1 << 64) - 1


def host_of(per: tuple[KeyPart, ...]) -> str | None:
    """The name in SIDES of the one host that a rate is per, if it is that."""
    if len(per) != 1 or per[0].lengths != HOST:
        return None
    return next((name for name, side in SIDES.items() if side == per[0].field), None)


def write_hosts(code: Code, fields: Fields, rules: Iterable[Rule]) -> None:
    """Before the rules: whose the addresses are, where a rule keeps state by them."""
    rules = list(rules)
    wanted = {host_of(rule.rate.per) for rule in rules if rule.rate}
    wanted |= {host_of(rule.block.by) for rule in rules if rule.block}
    wanted |= {"ip.src" for rule in rules if rule.retransmit}
    for name, side in SIDES.items():
        if name in wanted:
            _store(code, _address(code, fields, side, HOST), fields.keys[name])


def write_key(code: Code, fields: Fields, per: tuple[KeyPart, ...], place: Pointer) -> None:
    """One key, at that place."""
    offset = 0
    for part in per:
        words = (
            _address(code, fields, part.field, part.lengths)
            if part.lengths
            else (code.resize(fields[part.field], I64),)
        )
        _store(code, words, code.at(place, offset))
        offset += part.size


def size(per: tuple[KeyPart, ...]) -> int:
    """Bytes of the key."""
    return sum(part.size for part in per)


def kind(per: tuple[KeyPart, ...]) -> str:
    """The kind of a rule's map that has such keys (layout.state_name): other keys make another map."""
    host = host_of(per)
    if host is not None:
        return {"ip.src": "rsrc", "ip.dst": "rdst"}[host]
    said = ",".join(f"{part.field} {part.layer.name} {part.lengths}" for part in per)
    return f"rkey{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def _address(code: Code, fields: Fields, side: str, lengths: tuple[int, int]) -> tuple[U64, U64]:
    """High and low half, in network order; of each family's bits so many as count."""
    v4, v6 = lengths
    is_v4 = code.compare(fields[version_of(side)], "==", 4)
    of_v4 = _leading(96 + v4 - 64)
    high_of_v6, low_of_v6 = _leading(min(v6, 64)), _leading(v6 - 64)
    high: U64 = fields[f"{side}_high"]
    if high_of_v6 != _ALL:
        high = code.and_(high, high_of_v6)  # IPv4's is 0
    low: U64 = fields[f"{side}_low"]
    if (of_v4, low_of_v6) != (_ALL, _ALL):
        mask = code.select(is_v4, ir.Constant(I64, of_v4), ir.Constant(I64, low_of_v6))
        low = code.and_(low, mask)
    return code.swap_bytes(high), code.swap_bytes(low)


def _leading(bits: int) -> int:
    """A mask of the leading bits of 64."""
    return _ALL ^ ((1 << (64 - max(bits, 0))) - 1)


def _store(code: Code, words: Iterable[U64], place: Pointer) -> None:
    for number, word in enumerate(words):
        code.store(word, code.at(place, 8 * number), align=8)
