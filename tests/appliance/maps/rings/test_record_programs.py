"""Verified programs that send records: the interpreter, the JIT and Linux answer alike, and the same records come."""

from __future__ import annotations

import errno

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Context, Fault, Interpreter, PacketMemory
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec, ProgramSpec
from appliance.helpers.model.table import python_helpers
from appliance.jit.collection import Collection
from appliance.maps import model
from appliance.maps.control.ring_buffer import RingBuffer
from appliance.maps.model.ringbuf import ModelRingBuffer
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import run_loaded, run_loops
from tests.appliance.maps.three_engines import ANSWER, FOLD, by_interpreter, by_jit, check, collection_of, program
from tests.capabilities import requires

pytestmark = requires("bpf")

RING = MapSpec("m", MapType.RINGBUF, 0, 0, 4096)
FLAGS = st.sampled_from([0, 0, 0, 1, 2, 3, 4])
SIZES = st.sampled_from([0, 1, 8, 24, 200, 500])
CLEARED = 500  # bytes of the stack that records are made of


def output(number: int, size: int, flags: int) -> str:
    head = f"*(u64 *)(r10 - 504) = {number}; r2 = r10; r2 += -504; r3 = {size}; r4 = {flags};"
    return f"{head} r1 = map[m] ll; call ringbuf_output; {FOLD}"


def reserve(label: int, number: int, size: int, flags: int, end: str) -> str:
    """A record that begins with the number, and what becomes of it."""
    write = f"*(u8 *)(r0 + 0) = {number}; *(u8 *)(r0 + {size - 1}) = 7;" if 0 < size < 5000 else ""
    head = f"r1 = map[m] ll; r2 = {size}; r3 = 0; call ringbuf_reserve; if r0 == 0 goto no{label};"
    return f"{head} {write} r1 = r0; r2 = {flags}; call ringbuf_{end}; r7 += 1; no{label}: r7 *= 31;"


def query(what: int) -> str:
    return f"r1 = map[m] ll; r2 = {what}; call ringbuf_query; {FOLD}"


def clear() -> str:
    return "".join(f"*(u64 *)(r10 - {at}) = 0;" for at in range(8, CLEARED + 8, 8))


STEP = (
    st.builds(lambda *given: lambda label: output(*given), st.integers(1, 200), SIZES, FLAGS)
    | st.builds(
        lambda *given: lambda label: reserve(label, *given),
        st.integers(1, 200),
        SIZES | st.sampled_from([4080, 4088, 4096, 1 << 30]),
        FLAGS,
        st.sampled_from(["submit", "discard"]),
    )
    | st.builds(lambda what: lambda label: query(what), st.integers(0, 3) | st.just(9))
)


def told_by_jit(spec: ProgramSpec) -> list[bytes]:
    records: list[bytes] = []
    collection = collection_of(spec, RING)
    with Collection.load(collection, loops=run_loops) as loaded, RingBuffer(loaded.maps["m"], records.append) as ring:
        run_loaded(loaded, "test", FrameContext())
        ring.consume()
    return records


def told_by_interpreter(spec: ProgramSpec) -> list[bytes]:
    ring = ModelRingBuffer(RING)
    context = Context(spec.hook, FrameContext(), PacketMemory(bytes(64)))
    Interpreter(spec, {"m": ring, "answer": model(ANSWER)}, python_helpers()).run(context)
    return ring.drain()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, max_size=14))
def test_every_engine_answers_and_sends_the_same(chosen: list) -> None:  # type: ignore[type-arg]
    steps = [clear(), *(step(label) for label, step in enumerate(chosen)), query(0), query(3)]
    check(steps, RING)
    sent = told_by_jit(program(steps))
    for mine, other in zip(sent, told_by_interpreter(program(steps)), strict=True):
        assert (len(mine), mine[:1], mine[-1:]) == (len(other), other[:1], other[-1:])


def test_windows_sends_records_too() -> None:
    spec = program([clear(), output(5, 100, 0)], "windows")
    assert by_jit(collection_of(spec, RING)) == by_interpreter(collection_of(spec, RING)) == 0
    assert told_by_jit(spec) == [(5).to_bytes(8, "little") + bytes(92)]


def test_a_ring_that_is_full_says_so_in_every_engine() -> None:
    steps = [clear(), *(output(1, 500, 0) for _ in range(9)), query(0)]
    check(steps, RING)
    answer = 0
    for number in (*(0,) * 7, *(-errno.EAGAIN,) * 2, 7 * 512):
        answer = answer * 31 + number
    assert by_jit(collection_of(program(steps), RING)) == answer % (1 << 64)
    assert len(told_by_jit(program(steps))) == 7


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("r6 = r0; r1 = r6; r2 = 0; call ringbuf_submit; r1 = r6; r2 = 0; call ringbuf_submit;", "only a record as it"),
        (
            "r6 = r0; r1 = r6; r2 = 0; call ringbuf_submit; r0 = *(u8 *)(r6 + 0);",
            "read of 1 bytes at offset 0 of a rec",
        ),
        ("r6 = r0; r1 = r6; r2 = 0; call ringbuf_discard; *(u8 *)(r6 + 0) = 1;", "write of 1 bytes at offset 0 of a r"),
        ("*(u64 *)(r0 + 0) = 1;", "the program ends and has not given back a record of the map 'm'"),
        ("r1 = r0; r1 += 4; r2 = 0; call ringbuf_submit;", "only a record as it was reserved can be given back, and"),
        ("*(u64 *)(r0 + 4) = 1;", "write of 8 bytes at offset 4 of a record of the map 'm', which spans 0 to 8"),
    ],
)
def test_the_interpreter_notices_what_a_verified_program_never_does(text: str, fault: str) -> None:
    spec = program([f"r1 = map[m] ll; r2 = 8; r3 = 0; call ringbuf_reserve; {text}"])
    with pytest.raises(Fault) as raised:
        by_interpreter(collection_of(spec, RING))
    assert raised.value.what.startswith(fault)
