"""Captures that gzip packed: the same frames, and what a packed file can be wrong in."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from appliance.datapath.captures import Capture, CaptureRefused, contents
from tests.captures import interface, packet, pcap, section

FRAMES = [(number, bytes([number % 251]) * (60 + number * 11 % 9000)) for number in range(600)]
PCAP = pcap(FRAMES)
PCAPNG = section() + interface() + b"".join(packet(frame, at) for at, frame in FRAMES)


def read(path: Path, data: bytes) -> tuple[list[bytes], str | None]:
    path.write_bytes(data)
    with Capture(path) as capture:
        return [capture.frame(record) for record in capture.records()], capture.defect


@pytest.mark.parametrize("data", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
def test_packed(tmp_path: Path, data: bytes) -> None:
    """Larger than the first room; the file's name doesn't matter. Several members are one file."""
    assert len(data) > 1 << 20
    plain = read(tmp_path / "plain", data)
    assert read(tmp_path / "packed", gzip.compress(data)) == plain
    assert read(tmp_path / "members", gzip.compress(data[:1000]) + gzip.compress(data[1000:]) + bytes(512)) == plain
    assert len(plain[0]) == 600


def test_a_packed_file_that_is_cut_gives_the_frames_before(tmp_path: Path) -> None:
    packed = gzip.compress(PCAP, compresslevel=1)
    frames, defect = read(tmp_path / "cut", packed[: len(packed) // 2])
    assert frames == [frame for _, frame in FRAMES][: len(frames)]
    assert 0 < len(frames) < 600
    assert defect is not None
    assert "it can't be unpacked to its end: the packed file is cut; the frames before that are used" in defect


def test_a_packed_file_that_is_damaged(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(PCAP))
    packed[-8:-4] = b"nope"  # the checksum
    frames, defect = read(tmp_path / "damaged", bytes(packed))
    assert 580 < len(frames) < 600, "what was unpacked last is not trusted"
    assert defect is not None
    assert "it can't be unpacked to its end: Error -3 while decompressing data: incorrect data check" in defect


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"\x1f\x8b" + bytes(30), gzip.compress(b"")[:12]])
def test_nothing_can_be_unpacked(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CaptureRefused, match=r"it can't be unpacked to its end|the file is empty"):
        read(tmp_path / "nothing", data)


def test_nothing_was_packed(tmp_path: Path) -> None:
    with pytest.raises(CaptureRefused, match="the file is empty"):
        read(tmp_path / "nothing", gzip.compress(b""))
    with pytest.raises(CaptureRefused, match="not a pcap or pcapng file"):
        read(tmp_path / "text", gzip.compress(b"hello"))


def test_what_is_packed_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousandth of its size on the disk: the frames up to the limit are used."""
    monkeypatch.setattr(contents, "LARGEST_UNPACKED", 3 << 20)
    frames, defect = read(tmp_path / "large", gzip.compress(pcap([(0, bytes(250_000))] * 40)))
    assert len(frames) == 12
    assert defect is not None
    assert "there are more than 3 MiB in it; the frames before that are used" in defect
