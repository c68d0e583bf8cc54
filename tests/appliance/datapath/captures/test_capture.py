"""Reading captures: every form of the two formats, and whatever damage a file can have."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, wrpcap

from appliance.datapath.captures import Capture, CaptureRefused
from appliance.datapath.layout import LONGEST_FRAME
from tests.captures import (
    INTERFACE,
    MICROSECONDS,
    NANOSECONDS,
    OBSOLETE,
    SIMPLE,
    TimedFrame,
    block,
    interface,
    packet,
    pcap,
    section,
    simple_packet,
)

TSRESOL, TSOFFSET = 9, 14
FRAMES: list[TimedFrame] = [
    (1_700_000_000_123_456_000, bytes(range(60))),
    (1_700_000_001_000_000_000, b""),
    (1_699_999_999_999_999_000, b"x" * 13),  # clocks go back
    (0xFFFFFFFF * 10**9 + 999_999_000, b"y" * 9000),
]

Contents = list[TimedFrame]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], tuple[Contents, Capture]]:
    def reader(data: bytes) -> tuple[Contents, Capture]:
        return contents(tmp_path / "capture", data)

    return reader


def contents(path: Path, data: bytes) -> tuple[Contents, Capture]:
    """The frames of a file with those bytes, and the (closed) capture."""
    path.write_bytes(data)
    with Capture(path) as capture:
        frames = [(record.time_ns, capture.frame(record)) for record in capture.records()]
        assert len(capture) == len(frames)
    return frames, capture


Read = Callable[[bytes], tuple[Contents, Capture]]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [MICROSECONDS, NANOSECONDS])
def test_pcap(read: Read, order: str, magic: int) -> None:
    frames, capture = read(pcap(FRAMES, order=order, magic=magic))
    assert frames == FRAMES
    assert (capture.defect, capture.shortened) == (None, 0)


def test_nanoseconds_are_kept(read: Read) -> None:
    frames = [(1_000_000_007, b"a" * 14), (1_000_000_008, b"b" * 14)]
    assert read(pcap(frames))[0] == frames


def test_a_header_alone_is_an_empty_capture(read: Read) -> None:
    frames, capture = read(pcap([]))
    assert (frames, capture.defect) == ([], None)


def test_the_upper_half_of_the_link_type_says_other_things(read: Read) -> None:
    """Whether frames end in a check sequence, and of how many bytes."""
    assert read(pcap(FRAMES, link=0x30000001))[0] == FRAMES


@pytest.mark.parametrize("link", [2, 105, 127, 189, 1 << 15])
def test_what_is_of_another_link_type_is_refused(read: Read, link: int) -> None:
    """802.11, radiotap and USB have no Ethernet frames."""
    with pytest.raises(CaptureRefused, match=rf"link type {link} can't be replayed\n.*: null/loopback, Ethernet, PPP"):
        read(pcap(FRAMES, link=link))
    with pytest.raises(CaptureRefused, match=rf"none of its 1 frames can be replayed: 1 of link type {link}\n"):
        read(section() + interface(link=link) + packet(b"a" * 20, 0))


def test_an_interface_that_cant_be_read_costs_its_own_frames(read: Read) -> None:
    data = section() + interface() + interface(link=127) + interface(link=189)
    data += packet(b"a" * 20, 0) + packet(b"b" * 20, 0, number=1) * 3 + packet(b"c" * 20, 0, number=2)
    frames, capture = read(data + packet(b"d" * 20, 0))
    assert [frame for _, frame in frames] == [b"a" * 20, b"d" * 20]
    assert capture.unread == {"of link type 127": 3, "of link type 189": 1}
    assert capture.defect is None
    assert capture.remarks == [
        f"{capture.path}: 4 frames can't be replayed: 3 of link type 127, 1 of link type 189",
    ]


def test_an_interface_without_frames_costs_nothing(read: Read) -> None:
    frames, capture = read(section() + interface(link=127) + interface() + packet(b"a" * 20, 0, number=1))
    assert (len(frames), capture.remarks) == (1, [])


def test_an_interface_block_without_a_link_type(read: Read) -> None:
    frames, capture = read(section() + block(INTERFACE, b"") + packet(b"a", 0))
    assert frames == []
    assert capture.defect is not None
    assert "an interface block of 12 bytes has no link type (at byte 28)" in capture.defect


def test_frames_in_part_have_their_true_length(read: Read) -> None:
    whole = packet(b"a" * 20, 0)
    parts = packet(b"b" * 20, 0, original=1500) + simple_packet(b"c" * 20, original=1500)
    frames, capture = read(section() + interface() + whole + parts)
    assert [frame for _, frame in frames] == [b"a" * 20, *(letter * 20 + bytes(1480) for letter in (b"b", b"c"))]
    assert capture.shortened == 2
    assert capture.remarks == [
        f"{capture.path}: 2 frames were recorded in part, and are judged by their true length; what is missing reads"
        " as zeros"
    ]


@pytest.mark.parametrize(
    ("original", "length"), [(0, 20), (19, 20), (LONGEST_FRAME, LONGEST_FRAME), (2**32 - 1, 2**18)]
)
def test_a_true_length_beyond_reason(read: Read, original: int, length: int) -> None:
    data = bytearray(pcap([(0, b"a" * 20)]))
    struct.pack_into("<I", data, 24 + 12, original)
    (frame,), _ = read(bytes(data))
    assert len(frame[1]) == length


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("option", "units_per_second"),
    [((), 10**6), ((6,), 10**6), ((9,), 10**9), ((3,), 10**3), ((0x80 | 10,), 1 << 10), ((0,), 1)],
    ids=["default", "micro", "nano", "milli", "binary", "seconds"],
)
def test_pcapng_and_its_clocks(read: Read, order: str, option: tuple[int, ...], units_per_second: int) -> None:
    """Options before the one wanted are stepped over."""
    options = ((2, b"eth0\0"), *((TSRESOL, bytes([exponent])) for exponent in option), (0, b""))
    data = section(order=order) + interface(*options, order=order)
    data += packet(b"a" * 33, 5 * units_per_second, order=order) + block(5, bytes(8), order=order)
    data += packet(b"b" * 34, 7 * units_per_second, order=order)
    frames, capture = read(data)
    assert frames == [(5 * 10**9, b"a" * 33), (7 * 10**9, b"b" * 34)]
    assert capture.defect is None


def test_pcapng_interfaces_have_clocks_of_their_own_and_sections_begin_anew(read: Read) -> None:
    first = section() + interface() + interface((TSRESOL, b"\x09")) + packet(b"a", 10**6) + packet(b"b", 5, number=1)
    second = section(order=">") + interface((TSRESOL, b"\0"), order=">") + packet(b"c", 9, order=">")
    frames, capture = read(first + second)
    assert frames == [(10**9, b"a"), (5, b"b"), (9 * 10**9, b"c")]
    assert capture.defect is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("offset", [1_700_000_000, -3, 0])
def test_a_clock_that_begins_at_another_time(read: Read, order: str, offset: int) -> None:
    """if_tsoffset: seconds, signed, to be added to every timestamp of the interface; the others keep theirs."""
    options = ((TSOFFSET, struct.pack(order + "q", offset)), (TSRESOL, b"\x09"))
    data = section(order=order) + interface(*options, order=order) + interface(order=order)
    data += packet(b"a", 5 * 10**9 + 1, order=order) + packet(b"b", 10**6, number=1, order=order)
    assert read(data)[0] == [((5 + offset) * 10**9 + 1, b"a"), (10**9, b"b")]


def test_old_and_simple_packet_blocks(read: Read) -> None:
    data = section() + interface() + packet(b"old!", 10**6, kind=OBSOLETE) + simple_packet(b"no time")
    assert read(data)[0] == [(10**9, b"old!"), (0, b"no time")]


def test_a_packet_needs_its_interface(read: Read) -> None:
    for lost in (packet(b"a", 1), simple_packet(b"a"), packet(b"a", 1, kind=OBSOLETE)):
        frames, capture = read(section() + lost)
        assert frames == []
        assert capture.defect is not None
        assert "names no interface (at byte 28)" in capture.defect


def test_what_scapy_writes(tmp_path: Path) -> None:
    packets = [Ether(bytes(14 + n)) for n in range(5)]
    for number, packet_ in enumerate(packets):
        packet_.time = 1000 + number
    wrpcap(str(tmp_path / "one.pcap"), packets)
    with PcapNgWriter(str(tmp_path / "one.pcapng")) as writer:
        writer.write(packets)
    for name in ("one.pcap", "one.pcapng"):
        frames, capture = contents(tmp_path / name, (tmp_path / name).read_bytes())
        assert frames == [((1000 + n) * 10**9, bytes(14 + n)) for n in range(5)]
        assert capture.defect is None


# damage

PCAP = pcap([(10**9, b"a" * 20), (2 * 10**9, b"b" * 30)])
PCAPNG = section() + interface((TSRESOL, b"\x09")) + packet(b"a" * 20, 10**9) + packet(b"b" * 30, 2 * 10**9)
WHOLE = [(10**9, b"a" * 20), (2 * 10**9, b"b" * 30)]


@pytest.mark.parametrize("data", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
def test_a_cut_anywhere_leaves_the_frames_before_it(tmp_path: Path, data: bytes) -> None:
    for size in range(len(data)):
        try:
            frames, capture = contents(tmp_path / "cut", data[:size])
        except CaptureRefused as refused:
            assert refused.what in ("the file is empty", "not a pcap or pcapng file", "the file ends within its header")
            assert size < 28
            continue
        assert frames == WHOLE[: len(frames)]
        if capture.defect is None:
            assert size in (24, 60) if data is PCAP else size in (28, 56, 108)
        else:
            assert capture.defect.startswith(f"{tmp_path}/cut: the capture is cut in the middle of a record (at byte ")
            assert capture.defect.endswith("); the frames before it are used")


@pytest.mark.parametrize("length", [LONGEST_FRAME + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_length_beyond_reason(read: Read, length: int) -> None:
    data = bytearray(PCAP)
    struct.pack_into("<I", data, 60 + 8, length)
    frames, capture = read(bytes(data))
    assert frames == WHOLE[:1]
    assert capture.defect is not None
    assert f"a frame of {length} bytes is longer than any (262144) (at byte 76)" in capture.defect


def test_the_longest_frame(read: Read) -> None:
    frame = bytes(LONGEST_FRAME)
    assert read(pcap([(0, frame)]))[0] == [(0, frame)]
    assert read(section() + interface() + packet(frame, 0))[0] == [(0, frame)]


@pytest.mark.parametrize("length", [0, 4, 11, 13, 30])
def test_a_block_of_impossible_length(read: Read, length: int) -> None:
    frames, capture = read(PCAPNG + struct.pack("<III", 6, length, 0) + bytes(40))
    assert frames == WHOLE
    assert capture.defect is not None
    assert f"a block claims {length} bytes (at byte {len(PCAPNG)})" in capture.defect


@pytest.mark.parametrize(
    "bad",
    [
        block(6, bytes(8)),
        block(6, struct.pack("<IIIII", 0, 0, 0, 5, 5)),
        block(6, struct.pack("<IIIII", 0, 0, 0, 0xFFFFFFFF, 5) + bytes(8)),
        block(SIMPLE, b""),
    ],
    ids=["no room for its head", "longer than its block", "huge", "empty"],
)
def test_a_packet_that_contradicts_its_block(read: Read, bad: bytes) -> None:
    frames, capture = read(PCAPNG + bad + PCAPNG)
    assert frames == WHOLE
    assert capture.defect is not None
    assert f"a packet block contradicts its length or names no interface (at byte {len(PCAPNG)})" in capture.defect


@settings(deadline=None, max_examples=400)
@given(
    st.sampled_from([PCAP, PCAPNG, pcap(WHOLE, order=">", magic=MICROSECONDS)]),
    st.lists(st.tuples(st.integers(0, 160), st.integers(0, 255)), max_size=6),
    st.binary(max_size=40),
)
def test_damage_is_refused_or_read_within_the_file(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, changes: list[tuple[int, int]], tail: bytes
) -> None:
    damaged = bytearray(data)
    for place, byte in changes:
        if place < len(damaged):
            damaged[place] = byte
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged + tail)
    try:
        with Capture(path) as capture:
            for record in capture.records():
                assert record.offset >= 24
                assert record.offset + record.captured <= len(damaged) + len(tail)
                assert len(capture.frame(record)) == record.length
                assert record.time_ns < 1 << 64
    except CaptureRefused as refused:
        assert str(refused).startswith(f"{path}: ")


def test_a_closed_capture_gives_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(PCAP)
    with Capture(path) as capture:
        record = next(capture.records())
    with pytest.raises(ValueError, match="closed"):
        capture.frame(record)


def test_a_capture_that_is_cut_while_it_is_used_keeps_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(PCAP)
    expected = contents(tmp_path / "other", PCAP)[0]
    with Capture(path) as capture:
        os.truncate(path, 0)
        assert [(record.time_ns, capture.frame(record)) for record in capture.records()] == expected
        last = capture.base + len(PCAP) - 1
        assert ctypes.c_uint8.from_address(last).value == PCAP[-1]


def test_the_file_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(PCAP)
    path.chmod(0o400)
    with Capture(path) as capture:
        assert capture.base % 4096 == 0
    assert path.read_bytes() == PCAP
