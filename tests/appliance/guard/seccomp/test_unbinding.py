"""Addresses that are given back: programs of Windows' `bind` are told when, by whom, and of what; and the counters."""

from __future__ import annotations

from tests.capabilities import requires
from tests.guarding import guarded_map

pytestmark = requires("root", "seccomp's listeners", "clang")
BIND, POST_BIND, UNBIND = range(3)


def holders(entries: list[tuple[int, dict[str, int]]]) -> dict[int, tuple[int, int]]:
    """By port: which process, and what was told of it last."""
    return {port: (entry["process"], entry["operation"]) for port, entry in entries}


def test_what_is_bound_and_given_back_is_told_of() -> None:
    """By closing, by the end of the process, by the last of two that have the socket; what was redirected by the port
    that it got, and what the kernel chose, too."""
    text = """
        closed, ended = socket.socket(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        chosen, moved = socket.socket(), socket.socket()
        closed.bind(("127.0.0.1", 8001))
        closed.listen()
        closed.close()
        ended.bind(("::1", 8002))
        chosen.bind(("127.0.0.1", 0))
        moved.bind(("127.0.0.1", 9001))
        shared = socket.socket()
        shared.bind(("127.0.0.1", 8003))
        if os.fork() == 0:
            time.sleep(0.5)
            os._exit(0)
        say([os.getpid(), chosen.getsockname()[1]])
    """
    (process, chosen), counts, entries = guarded_map("windows_bind", "holders", text)
    ports = (8001, 8002, 8003, 9002, chosen)
    assert holders(entries) == dict.fromkeys(ports, (process, UNBIND))
    assert counts == {"bind permitted": 4, "bind redirected": 1}


def test_ten_thousand_sockets_are_all_told_of() -> None:
    text = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (12000, 12000))
        held = []
        for index in range(10000):
            s = socket.socket(socket.AF_INET, (socket.SOCK_STREAM, socket.SOCK_DGRAM)[index % 2])
            s.bind(("127.0.0.1", 0))
            held.append(s)
        say([sorted({s.getsockname()[1] for s in held}), attempt(socket.socket().bind, ("127.0.0.1", 9000))])
    """
    (ports, denied), counts, entries = guarded_map("windows_bind", "holders", text)
    assert denied == "EPERM"
    assert counts == {"bind permitted": 10000, "bind denied": 1}
    assert sorted(holders(entries)) == ports
    assert {operation for _, operation in holders(entries).values()} == {UNBIND}


def test_what_the_kernel_refuses_is_not_bound() -> None:
    text = """
        s = socket.socket()
        s.bind(("127.0.0.1", 8001))
        say(attempt(s.bind, ("127.0.0.1", 8002)))
    """
    said, counts, entries = guarded_map("windows_bind", "holders", text)
    assert said == "EINVAL"  # bound already: permitted by the program, and refused by the kernel
    assert counts == {"bind permitted": 2}
    assert [port for port, _ in entries] == [8001]


def test_other_networks_are_followed() -> None:
    text = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        said = []
        for port in (8001, 8002):
            if (child := os.fork()) == 0:
                assert libc.unshare(0x40000000) == 0
                for _ in range(2):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                        s.bind(("0.0.0.0", port))
                os._exit(0)
            os.waitpid(child, 0)
            said.append(child)
        time.sleep(0.5)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 8003))
        say([said, os.getpid()])
    """
    (children, process), _, entries = guarded_map("windows_bind", "holders", text)
    wanted = {8001: (children[0], UNBIND), 8002: (children[1], UNBIND), 8003: (process, UNBIND)}
    assert holders(entries) == wanted
