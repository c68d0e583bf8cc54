"""SYN cookies made and checked in native code; what they are made of stands in `helpers.syncookies`."""

from __future__ import annotations

import ctypes
import errno
from typing import NamedTuple

from llvmlite import ir

from appliance.helpers.clocks import CLOCK_MONOTONIC_COARSE, Ticks
from appliance.helpers.native.call import HelperCall
from appliance.helpers.native.general import ktime
from appliance.helpers.native.siphash import siphash
from appliance.helpers.syncookie_secrets import FORCE_SHIFT, KEY_SIZE, SETS, Secrets
from appliance.helpers.syncookies import (
    COUNT_MASK,
    COUNT_SHIFT,
    DATA_MASK,
    OLDEST,
    PERIOD,
    TCP_HEADER,
    TCPOLEN_MSS,
    TCPOPT_EOL,
    TCPOPT_MSS,
    TCPOPT_NOP,
    Family,
)
from appliance.ir import I8, I16, I32, I64, PTR, U32, U64, Code
from appliance.maps.kind import internal

SOURCE, DESTINATION, SEQUENCE, ACKNOWLEDGEMENT, OFFSET = 0, 2, 4, 8, 12  # of struct tcphdr


def gen_syncookie(family: Family, call: HelperCall) -> U64:
    """The cookie for the connection that a SYN (IP header r1, TCP header r2 of r3 bytes) asks for, and in bits 32 to 47
    the segment size that it stands for. -EINVAL if r3 is not the header's length, -EOPNOTSUPP without secrets."""
    secrets, count = call.field("cookies").load(), call.code.resize(ktime(_minutes(), call), I32)
    arguments = (call.pointers[0], call.pointers[1], call.low(2), secrets, count)
    cookie: U64 = call.code.call(_emit_gen(call.code.module, family), *arguments)
    return cookie


def check_syncookie(family: Family, call: HelperCall) -> U64:
    """0 if the acknowledgement in the TCP header r2 is a cookie of ours that is young enough, else -EACCES."""
    secrets, count = call.field("cookies").load(), call.code.resize(ktime(_minutes(), call), I32)
    answer: U64 = call.code.call(_emit_check(call.code.module, family), *call.pointers[:2], secrets, count)
    return answer


def _minutes() -> Ticks:
    return Ticks(CLOCK_MONOTONIC_COARSE, PERIOD)


class _Flow(NamedTuple):
    """Whose cookie it is: the words to be hashed but for the count, and the sequence number."""

    code: Code
    family: Family
    words: list[U64]
    ports: U32
    sequence: U32

    def hashes(self, secrets: U64, *asked: tuple[int, U32]) -> list[U32]:
        """32 bits under each of the keys, 0 or 1, with a count."""
        code = self.code
        place = code.pointer(secrets)
        keys = [code.at(place, self.family.secrets + which * KEY_SIZE) for which, _ in asked]
        hashed = siphash(code, *((key, self._message(count)) for key, (_, count) in zip(keys, asked, strict=True)))
        return [code.resize(each, I32) for each in hashed]

    def _message(self, count: U32) -> list[U64]:
        code = self.code
        high, low = (count, self.ports) if self.family.addresses.size == 4 else (self.ports, count)
        return [*self.words, code.or_(code.shl(code.resize(high, I64), 32), code.resize(low, I64))]


def _flow(code: Code, family: Family) -> _Flow:
    """The kernel hashes IPv4's addresses, ports, count; of IPv6 the count comes before the ports."""
    place = family.addresses
    if place.size == 4:
        source, destination = (code.load(code.at(code["ip"], at), I32) for at in (place.source, place.destination))
        words = [code.or_(code.shl(code.resize(destination, I64), 32), code.resize(source, I64))]
        from_, to = (code.resize(code.load(code.at(code["tcp"], at), I16), I32) for at in (SOURCE, DESTINATION))
        ports = code.or_(code.shl(from_, 16), to)
    else:
        words = [
            code.load(code.at(code["ip"], start + half), I64)
            for start in (place.source, place.destination)
            for half in (0, 8)
        ]
        ports = code.load(code["tcp"], I32)
    return _Flow(code, family, words, ports, code.swap_bytes(code.load(code.at(code["tcp"], SEQUENCE), I32)))


def _emit_gen(module: ir.Module, family: Family) -> ir.Function:
    """`i64 cookies.gen.FAMILY(ip, tcp, length, secrets, count)`"""
    name = f"cookies.gen.{family.name}"
    known = module.globals.get(name)
    if known is not None:
        return known
    code = Code.define(module, name, I64, ip=PTR, tcp=PTR, length=I32, secrets=I64, count=I32)
    length, secrets, count = code["length"], code["secrets"], code["count"]
    with code.if_(code.compare(length, "<", TCP_HEADER)):
        code.ret(-errno.EINVAL)
    words = code.shr(code.load(code.at(code["tcp"], OFFSET), I8), 4)
    with code.if_(code.compare(code.shl(code.resize(words, I32), 2), "!=", length)):
        code.ret(-errno.EINVAL)
    with code.if_(code.compare(secrets, "==", 0)):
        code.ret(-errno.EOPNOTSUPP)
    asked = code.call(_emit_segment_size(module), code["tcp"], code.resize(length, I64))
    asked = code.select(code.compare(asked, "==", 0), ir.Constant(I32, family.usual), asked)
    place, size = ir.Constant(I32, 0), ir.Constant(I32, family.sizes[0])
    for number, known_size in enumerate(family.sizes[1:], 1):
        fits = code.compare(asked, ">=", known_size)
        place = code.select(fits, ir.Constant(I32, number), place)
        size = code.select(fits, ir.Constant(I32, known_size), size)
    flow = _flow(code, family)
    first, second = flow.hashes(_in_force(code, secrets, count), (0, ir.Constant(I32, 0)), (1, count))
    hidden = code.and_(code.add(second, place), DATA_MASK)
    mark = code.add(first, flow.sequence)
    cookie = code.add(code.add(mark, code.shl(count, COUNT_SHIFT)), hidden)
    code.ret(code.or_(code.shl(code.resize(size, I64), 32), code.resize(cookie, I64)))
    return code.function


def _emit_check(module: ir.Module, family: Family) -> ir.Function:
    """`i64 cookies.check.FAMILY(ip, tcp, secrets, count)`: take off what a cookie is made of: a small number stays."""
    name = f"cookies.check.{family.name}"
    known = module.globals.get(name)
    if known is not None:
        return known
    code = Code.define(module, name, I64, ip=PTR, tcp=PTR, secrets=I64, count=I32)
    secrets, count = code["secrets"], code["count"]
    with code.if_(code.compare(secrets, "==", 0)):
        code.ret(-errno.EACCES)
    now, before = (_in_force(code, secrets, code.sub(count, age)) for age in (0, OLDEST - 1))
    under = _emit_check_under(module, family)
    found = code.call(under, code["ip"], code["tcp"], now, count)
    with code.if_(code.or_(code.compare(found, "==", 0), code.compare(now, "==", before)), likely=True):
        code.ret(found)
    code.ret(code.call(under, code["ip"], code["tcp"], before, count))
    return code.function


def _in_force(code: Code, secrets: U64, minute: U32) -> U64:
    """Where the secrets of that minute are (see syncookie_secrets)."""
    number = code.and_(code.shr(minute, FORCE_SHIFT), SETS - 1)
    return code.add(secrets, code.mul(code.resize(number, I64), ctypes.sizeof(Secrets)))


def _emit_check_under(module: ir.Module, family: Family) -> ir.Function:
    """`i64 cookies.check_under.FAMILY(ip, tcp, secrets, count)`: the same, with one set of secrets."""
    code = internal(module, f"cookies.check_under.{family.name}", I64, ip=PTR, tcp=PTR, secrets=I64, count=I32)
    secrets, count = code["secrets"], code["count"]
    flow = _flow(code, family)
    acknowledged = code.swap_bytes(code.load(code.at(code["tcp"], ACKNOWLEDGEMENT), I32))
    [first] = flow.hashes(secrets, (0, ir.Constant(I32, 0)))
    mark = code.add(first, code.sub(flow.sequence, 1))
    rest = code.sub(code.sub(acknowledged, 1), mark)
    age = code.and_(code.sub(count, code.shr(rest, COUNT_SHIFT)), COUNT_MASK)
    with code.if_(code.compare(age, ">=", OLDEST)):
        code.ret(-errno.EACCES)
    [second] = flow.hashes(secrets, (1, code.sub(count, age)))
    place = code.and_(code.sub(rest, second), DATA_MASK)
    ours = code.compare(place, "<", len(family.sizes))
    code.ret(code.select(ours, ir.Constant(I64, 0), ir.Constant(I64, -errno.EACCES)))
    return code.function


def _emit_segment_size(module: ir.Module) -> ir.Function:
    """`i32 cookies.segment_size(tcp, length)`: what the options say, 0 if nothing (tcp_parse_mss_option)."""
    known = module.globals.get("cookies.segment_size")
    if known is not None:
        return known
    code = Code.define(module, "cookies.segment_size", I32, tcp=PTR, length=I64)
    size, position = code.variable(I32, 0), code.variable(I64, TCP_HEADER)
    with code.loop() as loop:
        here = position.get()
        left = code.sub(code["length"], here)
        loop.break_if(code.compare(left, "==", 0))
        option = code.at(code["tcp"], here)
        kind = code.load(option, I8)
        loop.break_if(code.compare(kind, "==", TCPOPT_EOL))
        with code.if_(code.compare(kind, "==", TCPOPT_NOP)):
            position.set(code.add(here, 1))
            loop.continue_()
        loop.break_if(code.compare(left, "<", 2))
        room = code.resize(code.load(code.at(option, 1), I8), I64)
        loop.break_if(code.or_(code.compare(room, "<", 2), code.compare(room, ">", left)))
        named = code.and_(code.compare(kind, "==", TCPOPT_MSS), code.compare(room, "==", TCPOLEN_MSS))
        with code.if_(named):
            told = code.resize(code.swap_bytes(code.load(code.at(option, 2), I16)), I32)
            size.set(code.select(code.compare(told, "==", 0), size.get(), told))
        position.set(code.add(here, room))
    code.ret(size.get())
    return code.function
