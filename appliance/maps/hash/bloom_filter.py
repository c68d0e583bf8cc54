"""BPF_MAP_TYPE_BLOOM_FILTER: a set of values that forgets what they were: "surely not in it", or "probably in it".

    map ─> ┌─────────────┬──────────────────────────────────┐
           │ BloomHeader │ 0 0 1 0 0 0 1 0 0 1 0 … bits     │      push sets HASHES bits, peek asks whether all are set
           └─────────────┴──────────────────────────────────┘

There is no way to take a value out. With max_entries values in it, it is wrong about one in thirty others or fewer;
more may be pushed, and it is wrong more often. The bits of a value are at h, h + s, h + 2s …, where h is its hash and s
the same 64 bits with the halves swapped, made odd (Kirsch and Mitzenmacher, "Less Hashing, Same Performance").
Number of bits: as kernel/bpf/bloom_filter.c has it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.ir import I32, I64, U64, Code, Field, Pointer
from appliance.maps.checks import BLOOM_FLAGS, check_flags, check_key_size, check_sizes
from appliance.maps.errors import MapRefused
from appliance.maps.hash.hashing import SEEDS, hash_words, key_words
from appliance.maps.kind import CACHE_LINE, Flag, Kind, Shape, define
from appliance.memory import Memory

HASHES = 5  # the kernel's number, where a declaration names none
LONGEST_VALUE = 512  # bytes; a program's whole stack
WORD = 64  # bits


class BloomHeader(ctypes.Structure):
    """`count` is how many pushes changed the bits: the values in it, but for those that it took for known ones."""

    _fields_ = (
        ("seeds", ctypes.c_uint64 * SEEDS),
        ("count", ctypes.c_uint32),
        ("_rest_of_line", ctypes.c_uint32 * (CACHE_LINE // 4 - 1 - 2 * SEEDS)),
    )


def bit_count(max_entries: int) -> int:
    """A power of two, at least max_entries * HASHES / ln 2."""
    return int(max(1 << (max_entries * HASHES * 7 // 5 - 1).bit_length(), WORD))


def _check(spec: MapSpec) -> None:
    check_sizes(spec)
    check_key_size(spec, 0, 0, "a bloom filter has no keys, only values: leave the key out")
    if spec.value_size > LONGEST_VALUE:
        hint = f"a bloom filter's value has 1 to {LONGEST_VALUE} bytes"
        raise MapRefused(spec.name, spec.type, f"a value of {spec.value_size} bytes", hint=hint)
    check_flags(spec, BLOOM_FLAGS)


def _size(shape: Shape) -> int:
    return ctypes.sizeof(BloomHeader) + bit_count(shape.max_entries) // 8


def _initialise(memory: Memory, shape: Shape) -> None:
    """Choose the seeds; odd, so that none is zero."""
    header = BloomHeader()
    header.seeds[:] = [int.from_bytes(os.urandom(8), "little") | 1 for _ in range(SEEDS)]
    memory.write(0, bytes(header))


def _count(memory: Memory, shape: Shape) -> int:
    return int.from_bytes(memory.read(BloomHeader.count.offset, BloomHeader.count.size), "little")


def _emit(module: ir.Module, shape: Shape) -> None:
    _emit_push(module, shape)
    _emit_peek(module, shape)


def _emit_push(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "push")
    with code.if_(code.compare(code["flags"], "!=", Flag.ANY), likely=False):
        code.ret(-errno.EINVAL)
    missing: U64 = ir.Constant(I64, 0)
    for word, bit in _bits(code, shape):
        old = code.builder.atomic_rmw("or", code.typed(word, I64), bit, "monotonic")
        missing = code.or_(missing, code.and_(bit, code.builder.not_(old)))
    with code.if_(code.compare(missing, "!=", 0)):
        code.atomic_add(code.field(code["map"], BloomHeader, "count").address, 1, I32)
    code.ret(0)


def _emit_peek(module: ir.Module, shape: Shape) -> None:
    code = define(module, shape, "peek")
    for word, bit in _bits(code, shape):
        with code.if_(code.compare(code.and_(Field(code, word, I64, 8).load_monotonic(), bit), "==", 0)):
            code.ret(-errno.ENOENT)
    code.ret(0)


def _bits(code: Code, shape: Shape) -> Iterator[tuple[Pointer, U64]]:
    """Each of the value's bits: where its word of 64 is, and the bit in it."""
    first = code.field(code["map"], BloomHeader, "seeds").address
    seeds = [code.load(code.at(first, 8 * number), I64, align=8) for number in range(SEEDS)]
    position = hash_words(code, key_words(code, code["value"], shape.value_size), seeds)
    step = code.or_(code.or_(code.shl(position, 32), code.shr(position, 32)), 1)
    for _ in range(HASHES):
        number = code.and_(position, bit_count(shape.max_entries) - 1)
        word = code.at(code["map"], code.add(code.mul(code.shr(number, 6), 8), ctypes.sizeof(BloomHeader)))
        yield word, code.shl(ir.Constant(I64, 1), code.and_(number, WORD - 1))
        position = code.add(position, step)


BLOOM_FILTER = Kind(
    check=_check, size=_size, initialise=_initialise, count=_count, emit=_emit, operations=("push", "peek")
)
