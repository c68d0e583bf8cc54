"""Sockets that are made, and addresses that have just been bound."""

from __future__ import annotations

from tests.capabilities import requires
from tests.guarding import both_engines, guard, guard_script, script

pytestmark = requires("root", "seccomp's listeners", "clang")


@both_engines
def test_a_socket_is_made_or_not(engine: str) -> None:
    text = """
        kinds = [(f, t | flags) for f in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
                 for t in (socket.SOCK_STREAM, socket.SOCK_DGRAM) for flags in (0, socket.SOCK_NONBLOCK)]
        say([attempt(socket.socket, *kind) for kind in kinds])
    """
    assert guard_script("sockets", text, engine=engine) == [None] * 6 + ["EPERM"] * 2 + [None] * 4


@both_engines
def test_a_socket_that_is_not_made_is_told_of(engine: str) -> None:
    ended = guard("sockets", *script("say(attempt(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM))"), engine=engine)
    assert ended.said == "EPERM"
    assert ended.err.startswith("tidegate: create AF_INET6 SOCK_DGRAM 17 denied (EPERM) by `sock_create`: ")


@both_engines
def test_an_address_that_is_bound_is_judged_once_more(engine: str) -> None:
    text = """
        said = []
        for family, host, other in ((socket.AF_INET, "127.0.0.1", "127.0.0.2"), (socket.AF_INET6, "::1", "::")):
            for address in ((host, 8999), (host, 9000), (other, 8998)):
                with socket.socket(family) as s:
                    said.append(attempt(s.bind, address) or s.getsockname()[1])
                    if said[-1] == "EPERM":
                        said.append(s.getsockname()[1])
        say(said)
    """
    assert guard_script("sockets", text, engine=engine) == [8999, "EPERM", 0, "EPERM", 0] * 2


@both_engines
def test_a_port_that_the_kernel_chose_is_given_back(engine: str) -> None:
    text = """
        said = {}
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for _ in range(200):
                with socket.socket(socket.AF_INET, kind) as s:
                    denied = attempt(s.bind, ("127.0.0.1", 0))
                    said.setdefault(kind.name, set()).add((denied, None if denied else s.getsockname()[1] >> 1 & 1))
                    if denied:
                        s.bind(("127.0.0.1", 8999))
                        assert kind is socket.SOCK_DGRAM or not s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        say({kind: sorted(found, key=str) for kind, found in said.items()})
    """
    both = [["EPERM", None], [None, 1]]
    assert guard_script("sockets", text, options=("--quiet",), engine=engine) == {
        "SOCK_STREAM": both,
        "SOCK_DGRAM": both,
    }


@both_engines
def test_an_errno_that_a_program_names(engine: str) -> None:
    """EPERM without one; ECONNREFUSED is 111, EADDRNOTAVAIL 99, EAFNOSUPPORT 97."""
    text = """
        four, six = socket.socket(), socket.socket(socket.AF_INET6)
        say([
            attempt(four.bind, ("127.0.0.1", 9000)), attempt(four.bind, ("127.0.0.1", 9099)),
            attempt(four.connect, ("127.0.0.1", 9111)), attempt(six.bind, ("::1", 9099)),
            attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM), attempt(six.bind, ("::1", 8999)),
        ])
    """
    wanted = ["EPERM", "EADDRNOTAVAIL", "ECONNREFUSED", "EADDRNOTAVAIL", "EAFNOSUPPORT", None]
    assert guard_script("errnos", text, engine=engine) == wanted
