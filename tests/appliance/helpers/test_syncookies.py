"""SYN cookies: the two engines agree to the bit, and Linux agrees on everything that no secret decides."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ebpf.interpreter import Context, Interpreter, PacketMemory
from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from appliance.helpers.model.syncookies import siphash
from appliance.helpers.model.table import python_helpers
from appliance.helpers.native import Clock
from appliance.helpers.syncookie_secrets import SyncookieSecrets
from appliance.helpers.syncookies import IPV4, IPV6, PERIOD, Family
from appliance.jit.collection import Collection
from appliance.maps import model
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import run_loaded, run_loops
from tests.appliance.verifier import kernel

# In the map's one value: the IP header at 0, the TCP header at 40, its length at 104, the answer at 112.
ROOM = MapSpec("room", MapType.ARRAY, 4, 120, 1)
CALL = """
    *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[room] ll; call map_lookup_elem
    if r0 == 0 goto out
    r7 = r0
    r1 = r7; r2 = r7; r2 += 40; r3 = *(u32 *)(r7 + 104)
    if r3 > 60 goto out
    call {helper}
    *(u64 *)(r7 + 112) = r0
    out: r0 = 2
    exit
"""
PROGRAMS = {
    f"{what}_{family.name}": ProgramSpec(
        f"{what}_{family.name}",
        "xdp",
        LINUX.hooks[0],
        assemble(CALL.format(helper=f"tcp_raw_{what}_syncookie_{family.name}")),
    )
    for what in ("gen", "check")
    for family in (IPV4, IPV6)
}
SECRETS = SyncookieSecrets(b"test")
SYN = bytes(range(100, 140))  # an IP header of either version: only its addresses count
EINVAL, EACCES, EOPNOTSUPP = (-number % (1 << 64) for number in (errno.EINVAL, errno.EACCES, errno.EOPNOTSUPP))


class Engines:
    def __init__(self, loaded: Collection, numbers: dict[str, int]) -> None:
        self.loaded, self.numbers = loaded, numbers

    def both(self, name: str, value: bytes, time_ns: int = 0, secrets: int = SECRETS.address) -> int:
        native = FrameContext(time_ns=time_ns, cookies=secrets)
        self.loaded.maps["room"].update(bytes(4), value)
        run_loaded(self.loaded, name, native)
        maps = {"room": model(ROOM)}
        maps["room"].update(bytes(4), value)
        checked = FrameContext(time_ns=time_ns, cookies=secrets)
        Interpreter(PROGRAMS[name], maps, python_helpers()).run(
            Context(LINUX.hooks[0], checked, PacketMemory(bytes(64)))
        )
        answer = self.loaded.maps["room"].lookup(bytes(4))
        assert answer is not None
        assert answer == maps["room"].lookup(bytes(4))
        return int.from_bytes(answer[112:], "little")

    def linux(self, name: str, value: bytes) -> int:
        kernel.update(self.numbers["room"], bytes(4), value)
        kernel.run(PROGRAMS[name], self.numbers)
        return int.from_bytes(kernel.lookup(self.numbers["room"], bytes(4), ROOM.value_size)[112:], "little")


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    spec = CollectionSpec("t.o", "linux", PROGRAMS, {"room": ROOM})
    with (
        Collection.load(spec, loops=run_loops, clock=Clock.FRAME) as loaded,
        kernel.kernel_maps({"room": ROOM}) as numbers,
    ):
        yield Engines(loaded, numbers)


def packet(options: bytes = b"", *, sequence: int = 7, acknowledged: int = 0, length: int | None = None) -> bytes:
    header = struct.pack("!HHIIBBHHH", 40000, 443, sequence, acknowledged, (20 + len(options)) // 4 << 4, 2, 0, 0, 0)
    told = 20 + len(options) if length is None else length
    return (SYN + (header + options).ljust(64, b"\0") + told.to_bytes(8, "little")).ljust(ROOM.value_size, b"\0")


def mss(size: int) -> bytes:
    return b"\x02\x04" + size.to_bytes(2, "big")


def test_siphash_is_the_one_of_its_authors() -> None:
    """Vectors of the paper's reference code, key 00 … 0f, messages 00 01 02 … of 8 and 16 bytes."""
    key = bytes(range(16))
    assert siphash(key, bytes(range(8))).to_bytes(8, "little").hex() == "62 24 93 9a 79 f5 f5 93".replace(" ", "")
    assert siphash(key, bytes(range(16))).to_bytes(8, "little").hex() == "db 9b c2 57 7f cc 2a 3f".replace(" ", "")


def answered(cookie: int) -> bytes:
    return packet(sequence=8, acknowledged=(cookie & 0xFFFFFFFF) + 1 & 0xFFFFFFFF)


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["ipv4", "ipv6"])
def test_what_is_made_is_accepted(engines: Engines, family: Family) -> None:
    gen, check = f"gen_{family.name}", f"check_{family.name}"
    for run in (engines.both, engines.linux):
        cookie = run(gen, packet(mss(1460)))
        assert cookie >> 32 == max(size for size in family.sizes if size <= 1460)
        assert run(check, answered(cookie)) == 0
        assert run(check, answered(cookie ^ 1 << 20)) == EACCES
        assert run(check, packet(sequence=1008, acknowledged=(cookie & 0xFFFFFFFF) + 1 & 0xFFFFFFFF)) == EACCES
    ours, theirs = engines.both(gen, packet()), engines.linux(gen, packet())
    assert engines.linux(check, answered(ours)) == engines.both(check, answered(theirs)) == EACCES


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["ipv4", "ipv6"])
def test_a_cookie_ages(engines: Engines, family: Family) -> None:
    start = 1000 * PERIOD + PERIOD // 2
    cookie = engines.both(f"gen_{family.name}", packet(), start)
    results = [engines.both(f"check_{family.name}", answered(cookie), start + minutes * PERIOD) for minutes in range(4)]
    assert results == [0, 0, EACCES, EACCES]
    assert engines.both(f"check_{family.name}", answered(cookie), start - PERIOD) == EACCES


OPTIONS = [
    b"",
    *map(mss, (0, 1, 535, 536, 1219, 1220, 1299, 1300, 1439, 1440, 1460, 8939, 8940, 65535)),
    b"\x01\x01" + mss(1460) + b"\x01\x00",
    b"\x00" + mss(1460) + bytes(3),
    mss(1300) + mss(1460),
    mss(1460) + mss(0),
    b"\x02\x03\x05\x00",
    b"\x08\x0a" + bytes(8) + b"\x01\x01" + mss(1440),
    b"\x03\x03\x07\x02\x04\x05\xb4\x00",
    b"\x05\x09\x02\x04\x05\xb4\x00\x00",
    b"\x05\x00\x02\x04\x05\xb4\x00\x00",
    b"\x01\x01\x01\x02",
]


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("options", OPTIONS, ids=bytes.hex)
def test_linux_finds_the_same_segment_size(engines: Engines, family: Family, options: bytes) -> None:
    name = f"gen_{family.name}"
    assert engines.both(name, packet(options)) >> 32 == engines.linux(name, packet(options)) >> 32


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("length", [0, 19, 21, 24, 60])
def test_linux_refuses_the_same_lengths(engines: Engines, family: Family, length: int) -> None:
    name, value = f"gen_{family.name}", packet(length=length)
    assert engines.both(name, value) == engines.linux(name, value) == EINVAL


def test_any_header(engines: Engines) -> None:
    @settings(max_examples=150, deadline=None)
    @given(
        st.binary(min_size=104, max_size=104),
        st.integers(5, 15),
        st.sampled_from(sorted(PROGRAMS)),
        st.integers(0, 1 << 63),
    )
    def agree(content: bytes, words: int, name: str, time_ns: int) -> None:
        value = bytearray(content.ljust(ROOM.value_size, b"\0"))
        value[52], value[104] = words << 4, words * 4
        answer = engines.both(name, bytes(value), time_ns)
        if name.startswith("gen"):
            assert answer >> 32 == engines.linux(name, bytes(value)) >> 32

    agree()


def test_secrets(engines: Engines) -> None:
    assert engines.both("gen_ipv4", packet(), secrets=0) == EOPNOTSUPP
    assert engines.both("check_ipv4", packet(), secrets=0) == EACCES
    same, one, other = SyncookieSecrets(b"test"), SyncookieSecrets(), SyncookieSecrets()
    cookies = [engines.both("gen_ipv4", packet(), secrets=each.address) for each in (SECRETS, same, one, other)]
    assert cookies[0] == cookies[1]
    assert len(set(cookies)) == 3


CHANGE = 16 * PERIOD  # when the second set comes in force


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["ipv4", "ipv6"])
def test_a_cookie_outlives_the_change_of_secrets(engines: Engines, family: Family) -> None:
    """It is as good as any other, and no longer: whichever side of the change it was made on."""
    for made in (CHANGE - PERIOD // 2, CHANGE + PERIOD // 2, 2 * CHANGE - PERIOD // 2):
        cookie = engines.both(f"gen_{family.name}", packet(), made)
        checks = [engines.both(f"check_{family.name}", answered(cookie), made + age * PERIOD) for age in range(4)]
        assert checks == [0, 0, EACCES, EACCES]
    before, after = (engines.both(f"gen_{family.name}", packet(), CHANGE + late) for late in (-PERIOD, PERIOD))
    assert before & 0xFFFFFF != after & 0xFFFFFF


def test_secrets_that_are_not_in_force_are_drawn_anew() -> None:
    engine_times = [0, 1, 15, 16, 18, 19, 20, 31, 32, 34, 35, 60]
    secrets = SyncookieSecrets()
    assert [minute for minute in engine_times if secrets.rotate(minute)] == [19, 35, 60]


@pytest.mark.parametrize("what", ["gen_ipv4", "gen_ipv6"])
def test_what_is_in_force_stays_when_the_other_is_drawn(engines: Engines, what: str) -> None:
    secrets = SyncookieSecrets()
    secrets.rotate(15)
    first = [engines.both(what, packet(), minute * PERIOD, secrets.address) for minute in (15, 16)]
    assert secrets.rotate(19)
    second = [engines.both(what, packet(), minute * PERIOD, secrets.address) for minute in (15, 16)]
    assert first[1] == second[1]
    assert first[0] != second[0]
