"""Who has come once: what stands before the maps of those who came again, so that strangers push nobody out of them.

Admission by a doorkeeper, as TinyLFU has it (Einziger, Friedman and Manes, 2017), but with the newcomer's own state, so
that nothing of its first frame is lost:

    the first frame     writes a tag and a state into one of the four ways of a set, over the oldest
    the second          finds its tag, and moves with its state into the map of its rule
    all others          are in that map, and don't come here

A flood of sources that never come twice costs one line of the cache a frame, and leaves those who are known alone. All
rules of an object share the sets. Tag and set are a keyed hash: who could choose two sources that push each other out
of one set would never be known, and so never be over a limit. The key is made by the first frame that needs one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, I64, PTR, U32, U64, Code, Pointer
from appliance.rules.code import layout
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.code.state.memory import Memory
from appliance.rules.model import Rule
from appliance.rules.remembered import Rate

NAME = "newcomers"
WAYS = 4  # tags and states of a set fill a line of the cache
WAY_BITS = 2
FEWEST_SETS = 256

_GOLDEN_RATIO = 0x9E3779B97F4A7C15  # of 2**64: multiplicative hashing, Knuth, volume 3, section 6.4
_FINAL = 0xFF51AFD7ED558CCD  # fmix64 of MurmurHash3, its first half


class Set(ctypes.Structure):
    """A value of `newcomers`: WAYS times a tag, or 0, and a bucket's state. Of entry 0 the first tag is the key of the
    hash; sets begin at 1."""

    _fields_ = (("tags", ctypes.c_uint64 * WAYS), ("states", ctypes.c_uint64 * WAYS))


def sets_for(rates: Iterable[Rate]) -> int:
    """How many sets there are, a power of two: as many newcomers as the largest map has places for those who stay."""
    most = max((rate.sources for rate in rates if rate.per), default=0)
    return max(FEWEST_SETS, 1 << (most // WAYS - 1).bit_length()) if most else 0


def shape(sets: int) -> MapShape:
    return MapShape(MapType.ARRAY, 4, ctypes.sizeof(Set), sets + 1)


class Newcomers:
    """What asks for newcomers' states: one map, and a function for each size of a key. For one thread."""

    def __init__(self, module: BpfModule, rates: Iterable[Rate]) -> None:
        self.module = module
        self.sets = sets_for(rates)
        self.map = module.declare_map(NAME, shape(self.sets))
        self.hash_key = _define_hash_key(module)
        self._visits: dict[int, ir.Function] = {}

    def state(self, memory: Memory, rule: Rule, key: Pointer, size: int, state: U64, first: ir.Block) -> Pointer:
        """The place of the state of who has come once, known by a key of that size in bytes. Leaves for `first` with
        whoever hasn't, whose `state` is kept now."""
        code = memory.code
        answer = code.call(self._visit(size), key, layout.digest(rule.id), state)
        memory.matching.unless(code.compare(answer, "!=", 0), first)
        set_ = memory.element(self.map, code.resize(code.shr(answer, WAY_BITS), I32), first)
        way = code.and_(answer, WAYS - 1)
        return code.at(set_, code.add(code.mul(way, 8), Set.states.offset))

    def _visit(self, size: int) -> ir.Function:
        if size not in self._visits:
            self._visits[size] = self._define_visit(size)
        return self._visits[size]

    def _define_visit(self, size: int) -> ir.Function:
        """`newcomer(key, salt, state) -> 0 for a first frame, whose state is written now; else set * WAYS + way`."""
        code = self.module.subprogram(f"newcomer_{size}", inline=False, key=PTR, salt=I64, state=I64)
        index = code.buffer(4, align=4)
        seed = code.call(self.hash_key, self._lookup(code, index, ir.Constant(I32, 0)))
        words = [code.load(code.at(code["key"], offset), I64, align=8) for offset in range(0, size, 8)]
        tag, number = self._hash(code, words, code.xor(seed, code["salt"]))
        set_ = self._lookup(code, index, code.resize(number, I32))
        tags, states = (code.field(set_, Set, name).address for name in ("tags", "states"))
        for way in range(WAYS):
            found = code.load(code.at(tags, 8 * way), I64, align=8)
            with code.if_(code.compare(found, "==", tag)):
                code.ret(code.or_(code.shl(number, WAY_BITS), way))
        place = _oldest(code, states)
        code.store(tag, code.at(tags, place), align=8)
        code.store(code["state"], code.at(states, place), align=8)
        code.ret(0)
        return code.function

    def _lookup(self, code: Code, place: Pointer, index: U32) -> Pointer:
        """An entry of the map, which is there; the function ends if it isn't."""
        code.store(index, place, align=4)
        entry: Pointer = self.module.helper(code, "map_lookup_elem", self.map, place)
        with code.if_(code.is_null(entry)):
            code.ret(0)
        return entry

    def _hash(self, code: Code, words: Iterable[U64], seed: U64) -> tuple[U64, U64]:
        """A tag, which is never 0, and the number of a set, which isn't either."""
        mixed = seed
        for word in words:
            mixed = code.mul(code.xor(mixed, word), _GOLDEN_RATIO)
            mixed = code.xor(mixed, code.shr(mixed, 32))
        mixed = code.mul(mixed, _FINAL)
        number = code.shr(mixed, 64 - (self.sets - 1).bit_length())
        return code.or_(code.xor(mixed, code.shr(mixed, 33)), 1), code.add(number, 1)


def _define_hash_key(module: BpfModule) -> ir.Function:
    """`hash_key(place) -> key`: what stands there; if that is 0, a random number that stands there from now on."""
    code = module.subprogram("hash_key", inline=True, place=PTR)
    key = code.load(code["place"], I64, align=8)
    with code.if_(code.compare(key, "!=", 0)):
        code.ret(key)
    high, low = (module.helper(code, "get_prandom_u32") for _ in range(2))
    fresh = code.or_(code.or_(code.shl(high, 32), code.and_(low, 0xFFFFFFFF)), 1)
    code.compare_exchange(code["place"], 0, fresh, I64)  # another worker may have been first
    code.ret(code.load(code["place"], I64, align=8))
    return code.function


def _oldest(code: Code, states: Pointer) -> U64:
    """The offset of the way whose state is the oldest, or none yet."""
    place: U64 = ir.Constant(I64, 0)
    oldest: U64 = code.load(states, I64, align=8)
    for way in range(1, WAYS):
        state = code.load(code.at(states, 8 * way), I64, align=8)
        is_older = code.compare(state, "<", oldest)
        oldest, place = code.select(is_older, state, oldest), code.select(is_older, 8 * way, place)
    return place
