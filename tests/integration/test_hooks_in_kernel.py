"""The same C programs at real sockets, by the kernel: what a test run says of an address, bind() and connect() do."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from hooks.contracts.sock_addr import SocketVerdict
from tests.appliance.ebpf.compiling import compile_file
from tests.cgroup import ControlGroup, needs_cgroups
from tests.hook_programs import FOLDER, BothEngines, both_engines

pytestmark = needs_cgroups

SECTIONS = {
    "bind_elsewhere": "bind4",
    "connect_elsewhere": "connect4",
    "connect6_elsewhere": "connect6",
    "say_another_name": "getsockname4",
}
BINDS = [("127.0.0.1", 53), ("127.0.0.1", 54), ("127.0.0.1", 9), ("192.0.2.1", 77), ("127.0.0.3", 5353)]
CONNECTS = [("192.0.2.7", 80), ("127.0.0.1", 9), ("127.0.0.1", 10), ("192.0.2.255", 65535)]
CONNECTS6 = [("2001:db8::7", 255), ("2001:db8:1::", 9), ("::1", 7)]

ASK = """
def bind(kind, address):
    with socket.socket(socket.AF_INET, kind) as one:
        failed = told(one.bind, address)
        return failed if isinstance(failed, int) else one.getsockname()

def connect(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        failed = told(one.connect, address)
        return failed if isinstance(failed, int) else one.getpeername()[:2]
"""


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlGroup]:
    path = tmp_path_factory.mktemp("hooks") / "linux_sock_addr.bpf.o"
    path.write_bytes(compile_file(FOLDER / "linux_sock_addr.bpf.c"))
    with ControlGroup(path, SECTIONS) as made:
        yield made


@pytest.fixture(scope="module")
def engines() -> Iterator[BothEngines]:
    with both_engines("linux_sock_addr") as both:
        yield both


def foretold(engines: BothEngines, program: str, ip: str, port: int, kind: int = 2) -> int | list[str | int]:
    """The errno of the call, or where it leads."""
    packed = ip_address(ip).packed
    place = "user_ip4" if len(packed) == 4 else "user_ip6"
    given = {place: packed, "user_port": port.to_bytes(2, "big") + bytes(2), "type": kind, "protocol": 17}
    run = engines.run(program, **given)
    if run.verdict is SocketVerdict.REJECT:
        return errno.EPERM
    found, port_found = run.context_out[place], run.context_out["user_port"]
    assert isinstance(port_found, int)
    address = found if isinstance(found, bytes) else found.to_bytes(4, "little")
    return [str(ip_address(address)), int.from_bytes(port_found.to_bytes(2, "little"), "big")]


def test_binds(group: ControlGroup, engines: BothEngines) -> None:
    """The name that getsockname4 tells is another one than the socket has: port 5353 is told as 53."""
    seen = group.ask(f"{ASK}\nanswer = [bind(socket.SOCK_DGRAM, tuple(where)) for where in {BINDS}]")
    expected = []
    for where in BINDS:
        found = foretold(engines, "bind_elsewhere", *where)
        expected.append(found if isinstance(found, int) else foretold(engines, "say_another_name", *found))
    assert seen == expected
    assert errno.EPERM in seen
    assert ["127.0.0.1", 53] in seen


def test_a_bind_of_another_type(group: ControlGroup, engines: BothEngines) -> None:
    seen = group.ask(f"{ASK}\nanswer = bind(socket.SOCK_STREAM, ('127.0.0.1', 7))")
    assert seen == foretold(engines, "bind_elsewhere", "127.0.0.1", 7, kind=1) == errno.EPERM


def test_connections(group: ControlGroup, engines: BothEngines) -> None:
    seen = group.ask(f"{ASK}\nanswer = [connect(socket.AF_INET, tuple(where)) for where in {CONNECTS}]")
    assert seen == [foretold(engines, "connect_elsewhere", *where) for where in CONNECTS]
    assert seen[0] == ["127.0.0.7", 5353]


def test_connections_of_ipv6(group: ControlGroup, engines: BothEngines) -> None:
    seen = group.ask(f"{ASK}\nanswer = [connect(socket.AF_INET6, tuple(where)) for where in {CONNECTS6}]")
    assert seen == [foretold(engines, "connect6_elsewhere", *where) for where in CONNECTS6]
    assert seen[0] == ["::1", 256]


def test_who_asks(group: ControlGroup) -> None:
    """What the kernel's helpers answer about a socket is what the system calls say that we fill contexts with."""
    answer = group.ask("""
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.connect(("127.0.0.1", 99))
    answer = [os.getpid(), os.getuid(), os.getgid(), open("/proc/thread-self/comm").read(), *(
        int.from_bytes(one.getsockopt(socket.SOL_SOCKET, option, 8), "little") for option in (57, 71)  # cookies
    )]
""")
    told = dict(group.dump("askers"))[(99).to_bytes(4, "little")]
    pid_tgid, uid_gid, cookie, namespace, comm = struct.unpack("<4Q16s", told)
    found = [pid_tgid >> 32, uid_gid & 0xFFFFFFFF, uid_gid >> 32, comm.rstrip(b"\0").decode() + "\n", cookie, namespace]
    assert found == answer


def test_no_group_stays(tmp_path: Path) -> None:
    path = tmp_path / "sockops.bpf.o"
    path.write_bytes(compile_file(FOLDER / "linux_sockops.bpf.c"))
    with ControlGroup(path, {"answer": "sock_ops"}) as made:
        home = made.home
        made.ask("""
with socket.create_server(("127.0.0.1", 7)) as server, socket.create_connection(("127.0.0.1", 7)) as client:
    answer = client.getsockname()[0]
""")
        counts = {key[0]: int.from_bytes(value, "little") for key, value in made.dump("moments")}
    assert counts[4] == counts[5] == 1  # BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB
    assert not home.exists()
