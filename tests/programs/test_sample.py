"""The program that tells of frames: what comes through the ring here, and that the kernel takes it and passes alike."""

from pathlib import Path

from appliance.api import RingBuffer, open_object
from hooks.contracts.contract import Verdict
from tests.programs.kernel import KernelProgram, needs_kernel

OBJECT = Path(__file__).parents[2] / "programs" / "xdp_sample.bpf.o"
IPV4, ARP = (bytes(range(12)) + bytes.fromhex(kind) + bytes(range(50)) for kind in ("0800", "0806"))


def test_every_ip_frame_is_told_and_no_other() -> None:
    records: list[bytes] = []
    with open_object(OBJECT).load() as loaded, RingBuffer(loaded.maps["samples"], records.append) as ring:
        for frame in (IPV4, ARP, IPV4[:20]):
            assert loaded.programs["xdp_sample"].test_run(frame).verdict is Verdict.PASS
        assert loaded.programs["xdp_sample"].test_run(IPV4, repeat=9).verdict is Verdict.PASS
        assert ring.poll(1) == 10
    for record in records:
        assert (record[8:12], record[12:14]) == (len(IPV4).to_bytes(4, "little"), b"\x00\x08")
        assert record[14:48] == IPV4[:34]
    times = [int.from_bytes(record[:8], "little") for record in records]
    assert times == sorted(times)


@needs_kernel
def test_the_kernel_takes_it() -> None:
    with KernelProgram(OBJECT) as program:
        for frame in (IPV4, ARP, IPV4[:20]):
            assert program.run(frame).verdict == "pass"
