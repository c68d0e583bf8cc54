"""Maps and variables by their types: mappings of numbers, dicts and dataclasses, and errors that say where."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.api import Loaded, NoSuchName, ValueUnfit, make_dataclass, open_object
from appliance.maps import EntryExists, Flag, MapFull, NoSuchEntry, OperationRefused
from tests.appliance.api.objects import FRAME
from tests.appliance.api.typed_objects import Flow, Stats, compiled, opened
from tests.appliance.ebpf.compiling import compile_c


class Mode(enum.IntEnum):
    WATCH = 0
    ENFORCE = 1


@pytest.fixture
def loaded() -> Iterator[Loaded]:
    with opened().load(workers=2) as loaded:
        yield loaded


def test_what_a_program_wrote(loaded: Loaded) -> None:
    run = loaded.programs["count"].test_run(FRAME, context={"ingress_ifindex": 9}, repeat=3)
    assert run.verdict.value == "drop"
    assert dict(loaded.typed("flows", key=Flow, value=Stats).items()) == {Flow(9, 443): Stats(3, 60)}
    assert list(loaded.typed("flows").items()) == [
        ({"source": 9, "port": 443, "mac": bytes(6)}, {"packets": 3, "bytes": 60})
    ]
    assert loaded.typed("totals", value=Stats)[0] == [Stats(3, 0), Stats(0, 0)]
    assert loaded.typed_queue("jobs", value=Flow).pop() == Flow(9, 443)
    assert loaded.variables.value("seen") == {"packets": 3, "bytes": 0}
    assert loaded.variables.value("seen", Stats) == Stats(3, 0)
    assert loaded.variables["seen"] == struct.pack("<QQ", 3, 0)


def test_what_python_wrote(loaded: Loaded) -> None:
    flows = loaded.typed("flows")
    flows[Flow(9, 443)] = {"packets": 10, "bytes": 0}
    loaded.programs["count"].test_run(FRAME, context={"ingress_ifindex": 9})
    assert flows[{"source": 9, "port": 443, "mac": bytes(6)}] == {"packets": 11, "bytes": 0}
    assert loaded.maps["flows"].lookup(struct.pack("<IH6x", 9, 443)) == struct.pack("<QQ", 11, 0)


def test_it_is_a_mapping(loaded: Loaded) -> None:
    flows = loaded.typed("flows", key=Flow, value=Stats)
    assert (len(flows), list(flows), Flow(1, 2) in flows, flows.get(Flow(1, 2))) == (0, [], False, None)
    flows[Flow(1, 2)] = Stats(3, 4)
    flows.update({Flow(2, 2): Stats(5, 6)})
    assert sorted(flows, key=str) == [Flow(1, 2), Flow(2, 2)]
    assert sorted(flows.values(), key=str) == [Stats(3, 4), Stats(5, 6)]
    assert (Flow(1, 2), Stats(3, 4)) in flows.items()
    assert flows.pop(Flow(1, 2)) == Stats(3, 4)
    assert flows.take(Flow(2, 2)) == Stats(5, 6)
    for gone in (flows.take, flows.__getitem__, flows.__delitem__, flows.pop):
        with pytest.raises(NoSuchEntry, match=r"map 'flows': there is no entry under Flow\(source=1, port=2"):
            gone(Flow(1, 2))
    assert flows.pop(Flow(1, 2), 7) == 7
    assert flows.update_batch((Flow(number, 0), Stats(number, 0)) for number in range(8)) == 8
    with pytest.raises(MapFull):
        flows[Flow(8, 0)] = Stats(8, 0)
    del flows[Flow(3, 0)]
    flows.put(Flow(8, 0), Stats(8, 0), Flag.NOEXIST)
    with pytest.raises(EntryExists):
        flows.put(Flow(8, 0), Stats(8, 0), Flag.NOEXIST)
    with pytest.raises(NoSuchEntry):
        flows.put(Flow(3, 0), Stats(8, 0), Flag.EXIST)
    flows.clear()
    assert len(flows) == 0
    assert repr(flows) == "<TypedMap flows: struct flow to struct stats>"


def test_a_value_for_every_processor(loaded: Loaded) -> None:
    counts = loaded.typed("counts", key=Flow)
    counts[Flow(1, 2)] = [5, 6]
    assert counts[Flow(1, 2)] == [5, 6]
    assert loaded.maps["counts"].lookup(struct.pack("<IH6x", 1, 2), 1) == struct.pack("<Q", 6)
    assert list(counts.items()) == [(Flow(1, 2), [5, 6])]
    counts.update_batch([(Flow(3, 4), 7)])
    assert counts.take(Flow(3, 4)) == [7, 7]
    loaded.typed("totals")[1] = [Stats(1, 2), Stats(3, 4)]
    assert list(loaded.typed("totals", value=Stats).values()) == [[Stats(0, 0)] * 2, [Stats(1, 2), Stats(3, 4)]]


def test_arrays_and_enumerations(loaded: Loaded) -> None:
    modes = loaded.typed("modes", value=Mode)
    modes[1] = "ENFORCE"
    assert dict(modes.items()) == {0: Mode.WATCH, 1: Mode.ENFORCE, 2: Mode.WATCH}
    assert 3 not in modes
    with pytest.raises(OperationRefused):
        del modes[1]


def test_queues_and_filters(loaded: Loaded) -> None:
    jobs, known = loaded.typed_queue("jobs", value=Flow), loaded.typed_queue("known")
    assert (jobs.pop(), jobs.peek(), len(jobs)) == (None, None, 0)
    jobs.push(Flow(1, 2))
    jobs.push({"source": 2, "port": 3, "mac": "abcdef"})
    assert (jobs.peek(), jobs.pop(), jobs.pop()) == (Flow(1, 2), Flow(1, 2), Flow(2, 3, b"abcdef"))
    known.push(7)
    assert known.may_hold(7)
    with pytest.raises(ValueUnfit, match=r"^map known: value: -1 is no value of __u32"):
        known.may_hold(-1)


def test_bytes_where_there_is_no_type(loaded: Loaded) -> None:
    raw = loaded.typed("raw")
    raw[b"key1"] = b"ab"
    assert dict(raw.items()) == {b"key1": b"ab"}
    with pytest.raises(ValueUnfit, match=r"^map raw: key: 1 is no value of 4 bytes\n  hint: give 4 bytes: the object"):
        raw[1] = b"ab"
    with open_object(compile_c('SEC("xdp") int f(void *c) { return 2; }', "-g0")).load() as bare:
        assert dict(bare.types) == {}


def refusals(loaded: Loaded) -> list[tuple[Any, str]]:
    flows, totals = loaded.typed("flows"), loaded.typed("totals")
    flow = {"source": 1, "port": 2, "mac": bytes(6)}
    return [
        (lambda: flows[3], "map flows: key: 3 is no value of struct flow\n  hint: a dict or dataclass with source,"),
        (lambda: flows[{**flow, "port": 1 << 16}], "map flows: key.port: 65536 is no value of __u16\n  hint: an int"),
        (
            lambda: flows.update_batch([(flow, {"packets": -1, "bytes": 0})]),
            "map flows: value.packets: -1 is no value of __u64\n  hint: an integer from 0 to 18446744073709551615",
        ),
        (lambda: flows.__setitem__(flow, {}), "map flows: value: the field 'packets' is missing\n  hint: give a "),
        (
            lambda: totals.__setitem__(0, [{"packets": 1, "bytes": 1}]),
            "map totals: the values of processors are missing\n  hint: a list with one value for each of 2",
        ),
        (lambda: totals.__setitem__(0, [{}, {}]), "map totals: value[0]: the field 'packets' is missing"),
        (lambda: loaded.typed("flows", value=Flow), "<object>: map flows: value: struct stats has no field 'source'"),
        (lambda: loaded.typed("flows", key=int), "<object>: map flows: key: struct flow can't be int\n  hint: it can"),
        (
            lambda: loaded.typed("jobs"),
            "<object>: map jobs: a map of type queue has no keys\n  hint: use `typed_queue`",
        ),
        (lambda: loaded.typed_queue("raw"), "<object>: map raw: a map of type hash has keys\n  hint: use `typed`"),
    ]


def test_what_does_not_fit(loaded: Loaded) -> None:
    for attempt, message in refusals(loaded):
        with pytest.raises(ValueUnfit) as error:
            attempt()
        assert str(error.value).startswith(message)
    with pytest.raises(NoSuchName, match="there is no map 'flow'"):
        loaded.typed("flow")


def test_variables_before_they_are_loaded() -> None:
    found = opened()
    assert found.variables.value("config") == {
        "mode": 1, "ports": [80, 443], "limit": {"packets": 1000, "bytes": 2000}
    }  # fmt: skip
    found.variables["config"] = {**found.variables.value("config"), "mode": "WATCH", "ports": [1, 2]}
    found.variables["seen"] = Stats(7, 8)
    found.variables["ratio"] = 2
    found.variables["open_to_all"] = True
    assert (found.variables.value("ratio"), found.variables.value("open_to_all")) == (2.0, True)
    with found.load() as loaded:
        assert loaded.programs["count"].test_run(FRAME).verdict.value == "pass"
        assert loaded.variables.value("seen") == {"packets": 8, "bytes": 8}
        assert list(loaded.typed("flows", key=Flow)) == [Flow(0, 2)]
    assert open_object(compiled()).variables.value("seen") == {"packets": 0, "bytes": 0}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("config", {"mode": 1}, "<object>: config: the field 'ports' is missing\n  hint: give a value for every"),
        ("seen", Stats(1, -1), "<object>: seen.bytes: -1 is no value of __u64\n  hint: an integer from 0"),
        ("seen", 1, "<object>: seen: 1 is no value of volatile struct stats\n  hint: a dict or dataclass"),
        ("open_to_all", 2, "<object>: open_to_all: 2 is no value of volatile _Bool\n  hint: True or False"),
        ("ratio", "much", "<object>: ratio: 'much' is no value of volatile float\n  hint: a number that 4"),
        ("seen", bytes(3), "3 bytes given for 'seen', which has 16"),
    ],
    ids=str,
)
def test_variables_that_do_not_fit(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueUnfit) as error:
        opened().variables[name] = value
    assert str(error.value).startswith(message)


def test_types_by_their_names() -> None:
    types = opened().types
    assert {"struct flow", "struct stats", "enum mode", "struct config", "__u32", "float"} <= set(types)
    assert types["struct stats"].decode(struct.pack("<QQ", 1, 2)) == {"packets": 1, "bytes": 2}
    made = make_dataclass(types["struct config"])
    assert made(mode=1, ports=(1, 2), limit=made.__annotations__["limit"](packets=1, bytes=2)).ports == (1, 2)
    with pytest.raises(NoSuchName, match=r"there is no type 'struct flw'\n  hint: known: struct flow, "):
        _ = types["struct flw"]


def test_a_reused_map_keeps_the_types_of_who_reads_it() -> None:
    """The lender has no types at all."""
    lender = """
    struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(key_size, 12); __uint(value_size, 16); __uint(max_entries, 8); }
        flows SEC(".maps");
    SEC("xdp") int f(struct xdp_md *c) { char key[12] = {}; return bpf_map_lookup_elem(&flows, key) ? 1 : 2; }
    """
    borrower = opened()
    with open_object(compile_c(lender)).load() as owner:
        borrower.maps["flows"].reuse(owner.maps["flows"])
        with borrower.load() as loaded:
            loaded.typed("flows")[Flow(1, 2)] = Stats(3, 4)
            assert loaded.typed("flows", value=Stats)[Flow(1, 2)] == Stats(3, 4)
        assert list(owner.typed("flows").values()) == [struct.pack("<QQ", 3, 4)]


def test_other_sizes_leave_bytes() -> None:
    found = opened()
    found.maps["flows"].value_size = 24
    with found.load() as loaded:
        assert loaded.typed("flows").value_codec.name == "24 bytes"
        assert loaded.typed("flows").key_codec.name == "struct flow"


def test_it_behaves_as_a_dict() -> None:
    """Against a dict of the same keys and values, until it is full."""
    flows = st.builds(Flow, st.integers(0, 5), st.integers(0, 1))
    values = st.builds(Stats, st.integers(0, (1 << 64) - 1), st.integers(0, 3))
    held = opened().load()

    class Twins(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.typed, self.known = held.typed("flows", key=Flow, value=Stats), dict[Flow, Stats]()
            self.typed.clear()

        @rule(flow=flows, value=values)
        def put(self, flow: Flow, value: Stats) -> None:
            if flow in self.known or len(self.known) < 8:
                self.typed[flow] = self.known[flow] = value
            else:
                with pytest.raises(MapFull):
                    self.typed[flow] = value

        @rule(flow=flows)
        def take_out(self, flow: Flow) -> None:
            assert self.typed.pop(flow, None) == self.known.pop(flow, None)

        @rule(flow=flows)
        def look(self, flow: Flow) -> None:
            assert self.typed.get(flow) == self.known.get(flow)

        @invariant()
        def they_are_equal(self) -> None:
            assert self.typed == self.known
            assert len(self.typed) == len(self.known)

    with held:
        run_state_machine_as_test(Twins, settings=settings(max_examples=30, stateful_step_count=30, deadline=None))
