"""What an opener does for its box, and what it does for nobody."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hooks.af_packet.fanout import Fanout
from hooks.af_packet.geometry import Geometry
from hooks.errors import HookError, InterfaceError
from hooks.interfaces.isolation_watch import IsolationState, IsolationWatch, Openings
from hooks.interfaces.netdev import find_interface
from hooks.opener.client import OpenerClient
from hooks.opener.messages import Answer, Request, Verb
from tests.hooks.interfaces.test_isolation import add_filter_in_front, snapshot
from tests.netns import Topology
from tests.opener import BOTH, opener_beside

pytestmark = pytest.mark.netns
SMALL = Geometry(receive_slots=64, transmit_slots=32)


@pytest.fixture
def net() -> Iterator[Topology]:
    """A thread that is in the box's namespace."""
    with Topology(ipv6=True) as made, made.box.entered():
        yield made


def packet_sockets() -> int:
    """How many there are in the namespace."""
    return len(Path("/proc/thread-self/net/packet").read_text().splitlines()) - 1


def test_a_box_opens_sockets_that_share_flows(net: Topology, tmp_path: Path) -> None:
    frame = bytes.fromhex("020000000002020000000001") + b"\x88\xb5" + bytes(46)
    with (
        opener_beside(tmp_path) as opener,
        opener.open_socket("outside", SMALL, fanout=Fanout(7), muted=True) as first,
        opener.open_socket("outside", SMALL, fanout=Fanout(7, first.fanout_group()), muted=True) as second,
        net.outside.packet_socket() as wire,
    ):
        assert second.fanout_group() == first.fanout_group()
        assert (first.interface, first.geometry) == ("outside", SMALL)
        wire.send(frame)  # while both are muted
        first.unmute()
        second.unmute()
        wire.send(frame)
        assert (first.statistics().packets, second.statistics().packets) == (1, 0)


def test_an_opener_keeps_no_socket_that_it_opened(net: Topology, tmp_path: Path) -> None:
    with opener_beside(tmp_path) as opener:
        opener.open_socket("outside", SMALL).close()
        opener.ask(Request.about(Verb.RELEASE, "outside"))  # by then it is done with the question before
        assert packet_sockets() == 0


def test_a_box_has_so_many_sockets_and_no_more(net: Topology, tmp_path: Path) -> None:
    """Whoever holds them, in whatever process; what is closed counts no longer."""
    with opener_beside(tmp_path) as opener, ExitStack() as opened:
        sockets = [opened.enter_context(opener.open_socket("outside", SMALL)) for _ in range(4)]
        with pytest.raises(HookError, match=r"^outside: the box has 4 sockets on it, and may have no more$"):
            opener.open_socket("outside", SMALL)
        opened.enter_context(opener.open_socket("inside", SMALL))
        sockets[2].close()
        opener.ask(Request.about(Verb.RELEASE, "outside"))
        opened.enter_context(opener.open_socket("outside", SMALL))
        with pytest.raises(HookError, match=r"^outside: the box has 4 sockets on it"):
            opener.open_socket("outside", SMALL)


@pytest.mark.parametrize(
    "ask",
    [
        lambda opener: opener.open_socket("inside", SMALL),
        lambda opener: opener.isolate("inside").__enter__(),
        lambda opener: opener.ask(Request.about(Verb.CLOSE_AGAIN, "inside")),
        lambda opener: opener.ask(Request.about(Verb.CLOSE_AGAIN, "outside")),  # its own, and not isolated
    ],
    ids=["open", "isolate", "close again", "close again what is not isolated"],
)
def test_a_box_has_only_what_it_was_started_with(
    net: Topology, tmp_path: Path, ask: Callable[[OpenerClient], object]
) -> None:
    before = snapshot(net.box, "inside"), snapshot(net.box, "outside")
    with opener_beside(tmp_path, ("outside",)) as opener:
        with pytest.raises(HookError, match=r"^(in|out)side: the box was not started with this interface$"):
            ask(opener)
        assert (snapshot(net.box, "inside"), snapshot(net.box, "outside")) == before
        opener.open_socket("outside", SMALL).close()  # it goes on


def test_what_was_never_isolated_is_not_released(net: Topology, tmp_path: Path) -> None:
    before = snapshot(net.box)
    with opener_beside(tmp_path) as opener:
        assert opener.ask(Request.about(Verb.RELEASE, "outside")) == ({}, [])
    assert snapshot(net.box) == before


def test_each_kind_of_trouble_is_told_and_ends_nothing(net: Topology, tmp_path: Path) -> None:
    with opener_beside(tmp_path, ("outside", "gone")) as opener:
        with pytest.raises(InterfaceError, match=r"^gone: no packet rings: No such device$"):
            opener.open_socket("gone", SMALL)
        with pytest.raises(InterfaceError, match=r"^gone: no such interface \(this machine has lo, outside, inside\)$"):
            opener.isolate("gone").__enter__()
        with pytest.raises(HookError, match=r"^an opener knows no verb 99$"):
            opener.ask(Request(verb=99))
        with pytest.raises(HookError, match=r"^no rings are opened with slots of 7 bytes"):
            opener.open_socket("outside", Geometry(slot_size=7))
        opener.open_socket("outside", SMALL).close()


@contextmanager
def bare_connection(state_directory: Path) -> Iterator[socket.socket]:
    with opener_beside(state_directory) as opener:
        opener._connection.settimeout(5)
        yield opener._connection


@pytest.mark.parametrize("data", [b"x", b"[" * 70_000, bytes(200)])
def test_what_is_no_request_is_refused_and_ends_nothing(net: Topology, tmp_path: Path, data: bytes) -> None:
    with bare_connection(tmp_path) as connection:
        connection.send(data)
        answer = Answer.decode(connection.recv(1 << 16))
        assert str(answer.error).startswith("a request has ")
        connection.send(bytes(Request(number=3, verb=Verb.RELEASE)))
        assert Answer.decode(connection.recv(1 << 16)) == Answer(3, {})


def test_descriptors_that_a_box_sends_are_not_taken(net: Topology, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with bare_connection(tmp_path) as connection, os.fdopen(reading, "rb") as pipe:
        socket.send_fds(connection, [bytes(Request(number=1, verb=Verb.RELEASE))], [writing])
        os.close(writing)
        assert Answer.decode(connection.recv(1 << 16)) == Answer(1, {})
        assert pipe.read() == b""  # nobody has its other end


def test_interfaces_are_put_back_when_the_box_is_gone(net: Topology, tmp_path: Path) -> None:
    before = [snapshot(net.box, name) for name in BOTH]
    with opener_beside(tmp_path) as opener:
        for name in BOTH:
            opener.isolate(name).__enter__()
        assert [snapshot(net.box, name) for name in BOTH] != before
    assert [snapshot(net.box, name) for name in BOTH] == before
    assert list(tmp_path.iterdir()) == []


def test_the_end_puts_interfaces_back_and_says_what_could_not_be(
    net: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    before = snapshot(net.box)

    def refuse(name: str, wanted: object) -> None:
        if name == "inside":
            raise InterfaceError("the card refuses", where="inside")

    with opener_beside(tmp_path, log=said.append) as opener:
        for name in BOTH:
            opener.isolate(name).__enter__()
        with monkeypatch.context() as patch:
            patch.setattr("hooks.interfaces.isolation.set_features", refuse)
            with pytest.raises(InterfaceError, match=r"^inside: it can't be put back as it was: the card refuses$"):
                opener.end()
        opener.end()
    assert {**snapshot(net.box), "features": ()} == {**before, "features": ()}
    assert said == ["inside: it can't be put back as it was: the card refuses"]


def test_what_is_isolated_already_stays_so(net: Topology, tmp_path: Path) -> None:
    """A box that gave up waiting asks again."""
    with opener_beside(tmp_path) as opener:
        first = opener.isolate("outside").__enter__()
        assert opener.isolate("outside").__enter__() == first
        net.box.delete_link("outside")
        net.box.add_veth("outside", net.outside, "eth0")
        second = opener.isolate("outside").__enter__()
        assert second.index != first.index
        assert second.index == find_interface("outside").index
        assert opener.close_again(second) == Openings()


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_a_box_has_its_interfaces_closed_again(net: Topology, tmp_path: Path, direction: str) -> None:
    said: list[str] = []
    with opener_beside(tmp_path) as opener, opener.isolate("outside") as held:
        watch = IsolationWatch(["outside"], said.append, opener.close_again)
        watch.look([held])
        assert watch.states == {"outside": IsolationState(True, 0)}
        add_filter_in_front(net.box, direction)
        watch.look([held])
        assert watch.states == {"outside": IsolationState(True, 1)}
        net.box.delete_link("outside")
        with pytest.raises(InterfaceError, match=r"^outside: no such interface$"):
            opener.close_again(held)
    assert said == [
        "outside: the host was not shut out any more, and is again:"
        f" a filter of somebody else (bpf, priority 1, handle 0x1) stands first at its {direction}"
    ]


def test_a_box_that_takes_no_answer_is_given_up(net: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hooks.opener.server.ANSWER_SECONDS", 0.05)
    said: list[str] = []
    before = snapshot(net.box)
    with opener_beside(tmp_path, log=said.append) as opener:
        opener.isolate("outside").__enter__()
        opener._connection.settimeout(5)
        with pytest.raises(OSError, match=r"Broken pipe|Connection reset by peer"):
            for _ in range(100_000):
                opener._connection.send(bytes(Request(verb=Verb.RELEASE, interface=b"inside")))
        assert snapshot(net.box) == before
    assert said == ["the box can't be answered: timed out"]


@contextmanager
def answering(*answers: tuple[Answer, list[int]]) -> Iterator[OpenerClient]:
    """A client whose opener gives these answers to its first request, and none to others."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def serve() -> None:
        theirs.recv(1000)
        for answer, descriptors in answers:
            socket.send_fds(theirs, [answer.encode()], descriptors)
        theirs.recv(1000)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours:
            yield OpenerClient(ours)
    finally:
        thread.join()
        theirs.close()


def test_an_answer_that_comes_late_is_nobodys() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, answering((Answer(0, {}), [writing]), (Answer(1, {"left": "x"}), [])) as one:
        assert one.ask(Request(verb=Verb.RELEASE)) == ({"left": "x"}, [])
        os.close(writing)
        assert pipe.read() == b""  # what came with it is closed


def test_a_box_waits_for_its_opener_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hooks.opener.client.REQUEST_SECONDS", 0.1)
    with answering() as opener:
        with pytest.raises(HookError, match=r"^waited 0 s for the opener$"):
            opener.ask(Request(verb=Verb.RELEASE))
        assert opener._asking.acquire(timeout=5)  # as another thread would that waits
        with pytest.raises(HookError, match=r"^waited 0 s for what the opener was asked before$"):
            opener.ask(Request(verb=Verb.RELEASE))


def test_an_opener_that_has_ended_is_told() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    opener = OpenerClient(ours)
    theirs.close()
    with pytest.raises(HookError, match=r"^the opener has ended: Broken pipe$"):
        opener.open_socket("outside", SMALL)
    opener.forget()
    with pytest.raises(HookError, match=r"^the opener has ended: Bad file descriptor$"):
        opener.open_socket("outside", SMALL)


def test_descriptors_for_which_there_is_no_room_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptors = list(os.pipe())

    def cut(connection: socket.socket, size: int, most: int, flags: int) -> tuple[bytes, list[int], int, object]:
        data, taken, told, address = receive(connection, size, most, flags)
        return data, taken, told | socket.MSG_CTRUNC, address

    receive = socket.recv_fds
    with answering((Answer(1, {}), descriptors)) as opener, monkeypatch.context() as patch:
        patch.setattr("socket.recv_fds", cut)
        before = set(Path("/proc/self/fd").iterdir())
        with pytest.raises(HookError, match=r"^the opener's sockets can't be taken \(raise LimitNOFILE"):
            opener.open_socket("outside", SMALL)
        assert set(Path("/proc/self/fd").iterdir()) == before
    for each in descriptors:
        os.close(each)
