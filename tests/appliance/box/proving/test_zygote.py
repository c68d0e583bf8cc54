"""The zygote's loop, in a thread of the test's own process; and a prover's work, without a prover."""

from __future__ import annotations

import gc
import os
import select
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.box.proving import zygote
from appliance.box.proving.channel import BOUNDS, Channel, Deadline
from appliance.box.proving.child import Answer, answer
from appliance.box.proving.confinement import Confinement
from appliance.box.proving.fate import await_begun, await_ended
from appliance.box.proving.records import decode, encode
from appliance.box.proving.request import ObjectFile
from hooks.running_kernel import RunningKernel
from tests.appliance.box.proving.requests import of_program
from tests.appliance.box.proving.rogues import leaves

SECONDS = 60
UNCONFINED = Confinement(landlock=0, namespaces=(), system_calls=False, user=False)


class OpenJail:
    """Confines nobody: the process is the tests'."""

    confinement = UNCONFINED

    def confine(self, memory: int, seconds: int) -> None:
        assert (memory, seconds) == (7, 8)


def ask(control: socket.socket) -> tuple[Channel, socket.socket, int]:
    """A prover: the conversation with it, its fate, its pidfd."""
    conversation, theirs = socket.socketpair()
    fate, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, told:
        socket.send_fds(control, [zygote.LIMITS.pack(7, 8)], [theirs.fileno(), told.fileno()])
    return Channel(conversation), fate, await_begun(fate, Deadline.after(SECONDS))


def test_it_forks_and_tells_and_kills_until_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zygote, "Jail", OpenJail)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ThreadPoolExecutor(1) as pool, theirs:
        serving = pool.submit(lambda: zygote.Zygote(theirs, leaves).serve())
        with ours:
            assert decode(Confinement, ours.recv(zygote.LONGEST_WORD), b"") == UNCONFINED
            channel, fate, pidfd = ask(ours)
            channel.send(b"go", b"")
            with fate:
                assert await_ended(fate, Deadline.after(SECONDS)).status == 0
            os.close(pidfd)

            _waiting, fate, pidfd = ask(ours)
            fate.close()  # nobody wants to know
            assert select.select([pidfd], [], [], SECONDS)[0] == [pidfd]
            os.close(pidfd)
        serving.result(SECONDS)


@pytest.mark.parametrize("data", [of_program("xdp_pass").object.data, b"no object"], ids=["built", "refused"])
def test_a_request_is_answered(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    asked = of_program("xdp_pass")
    request = type(asked)(ObjectFile("asked.o", data), asked.inward, None, 1)
    with ours, theirs, ThreadPoolExecutor(1) as pool:
        asking = Channel(ours)
        answering = pool.submit(answer, Channel(theirs), RunningKernel())
        asking.send(*encode(request), Deadline.after(SECONDS))
        answered = decode(Answer, *asking.receive(BOUNDS, Deadline.after(SECONDS)))
        answering.result(SECONDS)
    assert (answered.built is None) == (data == b"no object")
    assert (answered.refusal is None) == (data != b"no object")
