"""C programs of the hooks beside XDP, unmodified, through both engines."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from appliance.api import ValueUnfit
from appliance.box.filter_files import read_filter
from appliance.errors import InputRefused
from hooks.contracts.bind import BindVerdict
from hooks.contracts.sock_addr import SocketVerdict
from hooks.contracts.sock_ops import Outcome
from hooks.contracts.task import Task, namespace_cookie
from tests.appliance.ebpf.compiling import compile_file
from tests.hook_programs import FOLDER, BothEngines, both_engines

PATH = "\\device\\harddiskvolume3\\server.exe".encode("utf-16-le")
SOFT, DENY, REDIRECT, HARD = BindVerdict
BIND, POST_BIND, UNBIND = range(3)


@pytest.fixture
def engines(request: pytest.FixtureRequest) -> Iterator[BothEngines]:
    with both_engines(request.param) as both:
        yield both


def objects(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("engines", [name], indirect=True)


def network(port: int) -> int:
    """A port as a program reads it."""
    return port >> 8 | port << 8 & 0xFFFF


def address(port: int, ip: str = "192.0.2.1") -> bytes:
    """A struct sockaddr_in."""
    return struct.pack("<H", 2) + port.to_bytes(2, "big") + ip_address(ip).packed + bytes(8)


def ip4(text: str) -> int:
    return int.from_bytes(ip_address(text).packed, "little")


@objects("windows_bind")
def test_programs_that_judge_no_frames_are_not_attached(engines: BothEngines) -> None:
    with pytest.raises(ValueUnfit) as error:
        engines.loaded.programs["bind_policy"].attach("lo")
    assert str(error.value) == "bind_policy: programs of hook `bind` can't be attached to an interface"


@pytest.mark.parametrize("program", [None, "bind_policy"])
def test_a_box_takes_programs_for_frames_only(tmp_path: Path, program: str | None) -> None:
    path = tmp_path / "bind.o"
    path.write_bytes(compile_file(FOLDER / "windows_bind.bpf.c"))
    with pytest.raises(InputRefused) as error:
        read_filter(path, program)
    told = {
        None: ("the object holds 0 programs", "it holds no XDP program"),
        "bind_policy": (
            "the program 'bind_policy' of hook `bind` judges no frames",
            "of those that do, it holds: none",
        ),
    }
    assert str(error.value) == "{}: {}\n  hint: {}".format(path, *told[program])


# Windows


@objects("windows_bind")
def test_every_verdict_of_bind(engines: BothEngines) -> None:
    def bind(port: int, **more: int) -> BindVerdict:
        run = engines.run("bind_policy", PATH, socket_address=address(port), operation=BIND, **more)
        assert run.data_out == PATH
        assert run.context_out["socket_address"] == address(8080 if run.verdict is REDIRECT else port)
        return run.verdict

    assert [bind(8), bind(80), bind(443)] == [SOFT, REDIRECT, HARD]
    assert [bind(22, is_admin=1), bind(22, is_admin=0)] == [SOFT, DENY]


@objects("windows_bind")
def test_a_limit_for_each_path(engines: BothEngines) -> None:
    engines.update("limit", bytes(4), (2).to_bytes(8, "little"))

    def act(operation: int, path: bytes = PATH) -> BindVerdict:
        return engines.run("bind_policy", path, operation=operation, process_id=77).verdict

    assert [act(BIND) for _ in range(3)] == [SOFT, SOFT, DENY]
    assert act(BIND, b"/bin/other") is SOFT
    assert [act(POST_BIND), act(UNBIND), act(BIND), act(BIND)] == [SOFT, SOFT, SOFT, DENY]
    binders = engines.loaded.maps["binders"]
    assert set(binders) == {PATH[:32], b"/bin/other".ljust(32, b"\0")}
    assert binders.lookup(b"/bin/other".ljust(32, b"\0")) == struct.pack("<QQ", 77, 1)


@objects("windows_bind")
@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 65536])
def test_paths_of_every_length(engines: BothEngines, size: int) -> None:
    path = bytes(range(1, 33)) * (size // 32 + 1)
    engines.run("bind_policy", path[:size])
    assert list(engines.loaded.maps["binders"]) == [path[: min(size, 32)].ljust(32, b"\0")]


@objects("windows_bind")
def test_who_binds_is_who_runs_the_test(engines: BothEngines) -> None:
    run = engines.run("bind_policy", PATH)
    assert run.context_out["process_id"] == os.getpid()
    with pytest.raises(ValueUnfit, match="a path of 65537 bytes"):
        engines.run("bind_policy", bytes(65537))


@objects("windows_sock_addr")
def test_connections_are_redirected_with_a_note(engines: BothEngines) -> None:
    wanted, proxy = (
        struct.pack("<4s12xHHI", ip_address(ip).packed, network(port), 0, 6)
        for ip, port in (("192.0.2.1", 80), ("127.0.0.1", 8080))
    )
    engines.update("proxies", wanted, proxy)
    here = {"user_ip4": ip4("192.0.2.1"), "user_port": network(80), "protocol": 6}
    run = engines.run("redirect_v4", **here)
    assert run.verdict is SocketVerdict.PROCEED_HARD
    assert (run.context_out["user_ip4"], run.context_out["user_port"]) == (ip4("127.0.0.1"), network(8080))
    caller = os.getpid() << 32 | threading.get_native_id()
    assert run.context_out["redirect_context"] == struct.pack("<QQ", caller, caller) + wanted
    elsewhere = engines.run("redirect_v4", **(here | {"user_port": network(81)}))
    assert elsewhere.verdict is SocketVerdict.PROCEED_SOFT
    assert (elsewhere.context_out["redirect_context"], elsewhere.context_out["family"]) == (b"", 2)


@objects("windows_sock_addr")
def test_connections_of_ipv6_are_redirected(engines: BothEngines) -> None:
    there, here = ip_address("2001:db8::1").packed, ip_address("::1").packed
    wanted, proxy = (struct.pack("<16sHHI", ip, network(53), 0, 17) for ip in (there, here))
    engines.update("proxies", wanted, proxy)
    run = engines.run("redirect_v6", user_ip6=there, user_port=network(53), protocol=17)
    assert run.verdict is SocketVerdict.PROCEED_HARD
    assert (run.context_out["user_ip6"], run.context_out["family"]) == (here, 23)


@objects("windows_sock_addr")
def test_who_connects(engines: BothEngines) -> None:
    run = engines.run("authorize_v4", compartment_id=1, interface_luid=9, socket_cookie=4711)
    assert run.verdict is SocketVerdict.PROCEED_SOFT
    assert engines.run("authorize_v4", compartment_id=2).verdict is SocketVerdict.REJECT
    told = struct.unpack("<4Q", engines.loaded.maps["askers"].lookup((9).to_bytes(8, "little")) or b"")
    own = Task.own()
    assert told[:3] == (4711, own.session, own.process_ticks << 22 | own.process)
    since_1970 = (told[3] - 116_444_736_000_000_000) / 10_000_000
    assert abs(since_1970 - own.machine_started - own.thread_started) < 1


@objects("windows_sock_addr")
def test_what_is_not_accepted(engines: BothEngines) -> None:
    refused = struct.pack("<4s12xHHI", ip_address("192.0.2.9").packed, network(9), 0, 6)
    engines.update("refused", refused, bytes(4))
    attempt = {"user_ip4": ip4("192.0.2.9"), "user_port": network(9), "protocol": 6}
    assert engines.run("accept_v4", **attempt).verdict is SocketVerdict.REJECT
    assert engines.run("accept_v4", **(attempt | {"protocol": 17})).verdict is SocketVerdict.PROCEED_SOFT


@objects("windows_sockops")
def test_connections_are_watched(engines: BothEngines) -> None:
    for op in (0, 2):
        run = engines.run("watch", op=op, family=2, remote_ip4=ip4("192.0.2.1"), remote_port=80, flow_id=5)
        assert (run.verdict, run.retval) == (Outcome.DONE, 0)
    engines.run("watch", op=1, family=23, remote_ip6=bytes(range(16)), interface_luid=3, flow_id=6)
    assert {key[0]: value for key, value in engines.loaded.maps["connections"].items()} == {
        5: struct.pack("<II4s12xQ", 0b101, 80, ip_address("192.0.2.1").packed, 0),
        6: struct.pack("<II16sQ", 0b010, 0, bytes(range(16)), 3),
    }
    failed = engines.run("watch", op=3)
    assert (failed.verdict, failed.retval) == (Outcome.FAILED, 0xFFFFFFFF)


# Linux


@objects("linux_sock_addr")
def test_binds_go_elsewhere(engines: BothEngines) -> None:
    def bind(port: int, ip: str = "127.0.0.1", kind: int = 2) -> tuple[object, ...]:
        run = engines.run("bind_elsewhere", user_ip4=ip4(ip), user_port=network(port), type=kind)
        return run.verdict, run.context_out["user_ip4"], run.context_out["user_port"]

    assert bind(53) == (SocketVerdict.PROCEED, ip4("127.0.0.1"), network(5353))
    assert bind(54, "192.0.2.1") == (SocketVerdict.PROCEED, ip4("127.0.0.1"), network(54))
    assert bind(9)[0] is bind(10, kind=1)[0] is SocketVerdict.REJECT


@objects("linux_sock_addr")
def test_who_binds(engines: BothEngines) -> None:
    engines.run("bind_elsewhere", user_port=network(10), socket_cookie=12)
    pid_tgid, uid_gid, cookie, namespace, comm = struct.unpack(
        "<4Q16s", engines.loaded.maps["askers"].lookup((10).to_bytes(4, "little")) or b""
    )
    assert pid_tgid == os.getpid() << 32 | threading.get_native_id()
    assert (uid_gid, cookie, namespace) == (os.getgid() << 32 | os.getuid(), 12, namespace_cookie())
    assert comm.rstrip(b"\0").decode() == Path("/proc/thread-self/comm").read_text().rstrip("\n")


@objects("linux_sock_addr")
def test_connections_go_elsewhere(engines: BothEngines) -> None:
    run = engines.run("connect_elsewhere", user_ip4=ip4("192.0.2.7"), user_port=network(80))
    assert (run.context_out["user_ip4"], run.context_out["user_port"]) == (ip4("127.0.0.7"), network(5353))
    assert run.context_out["family"] == run.context_out["user_family"] == 2
    six = engines.run("connect6_elsewhere", user_ip6=ip_address("2001:db8::7").packed, user_port=network(255))
    assert (six.context_out["user_ip6"], six.context_out["user_port"]) == (ip_address("::1").packed, network(256))
    assert engines.run("connect6_elsewhere", user_ip6=bytes(16)).verdict is SocketVerdict.REJECT
    assert engines.run("say_another_name", user_port=network(5353)).context_out["user_port"] == network(53)


@objects("linux_sockops")
def test_a_moment_is_answered(engines: BothEngines) -> None:
    assert engines.run("answer", op=1).context_out["reply"] == 500
    run = engines.run("answer", op=2, args=struct.pack("<4I", 7, 8, 0, 0))
    assert (run.verdict, run.context_out["reply"]) == (Outcome.DONE, 15)
    assert run.context_out["args"] == struct.pack("<4I", 15, 8, 0, 0)
    assert engines.run("answer", op=16).verdict is Outcome.FAILED
