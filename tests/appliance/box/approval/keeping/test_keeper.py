"""The keeper as a process, asked over its socket: what it signs, what it refuses, and what nobody gets from it."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.box.approval.files import FileRefused
from appliance.box.approval.keeping.client import KeeperClient, KeeperRefused
from appliance.box.approval.keeping.keeper import Keeper, KeyFile, key_at
from appliance.box.approval.keeping.protocol import LARGEST_REQUEST, Channel, KeeperGone, Status
from appliance.box.approval.keys import PrivateKey
from appliance.box.approval.statements.claim import CLAIM, Claim
from appliance.box.approval.statements.forms import Malformed, packed
from appliance.box.approval.tables import Tables
from appliance.box.approval.trust import Trust, TrustedKey
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest
from hooks.sandbox.capabilities import Privileges, drop_privileges
from tests.appliance.box.approval.test_trust import UNTRUE, first_image, program
from tests.capabilities import requires
from tests.child import in_child

NOBODY = 65534


@pytest.fixture(scope="module")
def keeper() -> Iterator[KeeperClient]:
    with KeeperClient.start(None) as client:
        yield client


def test_what_it_signs_holds(keeper: KeeperClient, built: Built, request_: BuildRequest) -> None:
    trust = Trust([TrustedKey(keeper.public, own=True)])
    approval = keeper.sign(request_, built)
    assert trust.check(approval, built, request_, time.time()).built is built


def test_it_knows_its_user_where_nobody_may_make_namespaces_but_of_users(built: Built, request_: BuildRequest) -> None:
    """As in a container: in a namespace of users of its own it would take everybody for nobody."""

    def sign() -> bool:
        drop_privileges()
        with KeeperClient.start(None) as client:
            return client.sign(request_, built).is_signed_by(client.public)

    assert in_child(sign)


def test_each_statement_has_a_serial_number_of_its_own_and_its_time(
    keeper: KeeperClient, built: Built, request_: BuildRequest
) -> None:
    before = int(time.time())
    first, second = (keeper.sign(request_, built).statement() for _ in range(2))
    assert second.serial > first.serial >= before * 1_000_000
    assert before <= first.issued <= time.time()
    assert first.expires == first.issued + 90 * 86_400


KEEPERS_OWN = {
    name: UNTRUE[name] for name in UNTRUE if name not in ("a call that it does not tell", "code that is none")
}


@pytest.mark.parametrize("name", KEEPERS_OWN)
def test_a_prover_that_lies_is_caught(name: str, keeper: KeeperClient, built: Built, request_: BuildRequest) -> None:
    reason, change = KEEPERS_OWN[name]
    with pytest.raises(KeeperRefused, match=reason.value):
        keeper.sign(request_, change(built))
    assert keeper.sign(request_, built).signatures


@pytest.mark.parametrize(
    "change",
    [
        lambda built: program(built, name="a name with spaces"),
        lambda built: program(built, name="x" * 300),
        lambda built: program(built, bytecode="A" * 64),
        lambda built: program(built, instructions=-1),
        lambda built: program(built, helpers=("map_lookup_elem\n",)),
        lambda built: first_image(built, symbols=tuple(f"s{number}" for number in range(10_000))),
        lambda built: replace(built, processor="é"),
    ],
)
def test_what_has_no_place_in_the_form_is_not_even_sent(
    change: Callable[[Built], Built], keeper: KeeperClient, built: Built, request_: BuildRequest
) -> None:
    with pytest.raises(Malformed):
        keeper.sign(request_, change(built))
    assert keeper.sign(request_, built).signatures


@pytest.fixture
def channel(keeper: KeeperClient) -> Channel:
    """The client's end without the client: to say what it never would."""
    return keeper._channel


@pytest.mark.parametrize("junk", [b"", b"x", bytes(200), b"\xff" * 5000])
def test_bytes_that_are_no_claim_are_refused_and_the_next_is_served(
    junk: bytes, keeper: KeeperClient, channel: Channel, built: Built, request_: BuildRequest
) -> None:
    channel.ask(junk)
    status, words = channel.answered()
    assert status is Status.REFUSED
    assert words
    assert keeper.sign(request_, built).signatures


def test_every_cut_and_every_flipped_byte_of_a_claim_is_answered(channel: Channel, claim: Claim) -> None:
    whole = packed(CLAIM, claim)
    ends = [whole[:size] for size in range(0, len(whole), 97)]
    flips = [whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :] for at in range(0, len(whole), 53)]
    for junk in (*ends, *flips):
        channel.ask(junk)
        assert channel.answered()[0] in (Status.SIGNED, Status.REFUSED)  # a digest with another bit is a digest


def test_a_message_that_is_too_long_ends_it(built: Built, request_: BuildRequest) -> None:
    with KeeperClient.start(None) as client:
        client._channel._send((LARGEST_REQUEST + 1).to_bytes(4, "little"))
        with pytest.raises(KeeperGone):
            client.sign(request_, built)
        with pytest.raises(KeeperGone, match="was ended"):
            client.sign(request_, built)


@requires("root")
def test_a_user_who_may_not_ask_is_refused(built: Built, request_: BuildRequest, claim: Claim) -> None:
    with KeeperClient.start(None) as client:
        asked = as_user(NOBODY, lambda: client._channel.ask(packed(CLAIM, claim)))
        assert asked == 0
        status, words = client._channel.answered()
        assert (status, words) == (Status.REFUSED, b"user 65534 may not ask for signatures")
        assert client.sign(request_, built).signatures


@requires("root")
def test_a_user_who_may_ask_is_told(built: Built, request_: BuildRequest) -> None:
    with KeeperClient.start(None, users=[NOBODY]) as client:
        with pytest.raises(KeeperRefused, match=f"user {os.geteuid()} may not ask"):
            client.sign(request_, built)
        assert as_user(NOBODY, lambda: client.sign(request_, built)) == 0


def as_user(user: int, do: Callable[[], Any]) -> int:
    """Do it in a child of that user; its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setresuid(user, user, user)
            do()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_key_is_made_at_the_first_start_and_found_at_the_next(tmp_path: Path) -> None:
    path = tmp_path / "keeper.pem"
    with KeeperClient.start(path) as first:
        assert path.stat().st_mode & 0o777 == 0o600
    with KeeperClient.start(path) as second:
        assert second.public == first.public == PrivateKey.load(path).public


def test_a_key_that_others_can_read_is_not_used(key_file: Path) -> None:
    key_file.chmod(0o640)
    with pytest.raises(KeeperRefused, match="others may read it"):
        KeeperClient.start(key_file)


@requires("root")
def test_it_keeps_its_memory_to_itself(keeper: KeeperClient) -> None:
    process = Path(f"/proc/{keeper.process}")
    assert re.search(r"Max core file size +0 +0 ", (process / "limits").read_text())
    assert as_user(NOBODY, (process / "maps").read_text) == 1
    assert as_user(NOBODY, (process / "status").read_text) == 0


def test_it_has_nothing_but_its_socket(keeper: KeeperClient) -> None:
    """As /proc tells: no capability, no way to one, system calls by a list, no network, no file but its socket."""
    process = Path(f"/proc/{keeper.process}")
    assert Privileges.of(keeper.process).problem(frozenset(), None) is None
    assert re.search(r"^Seccomp:\t2$", (process / "status").read_text(), re.MULTILINE)
    limits = (process / "limits").read_text()
    for what in ("processes", "file size", "locked memory"):
        assert re.search(rf"Max {what} +0 +0 ", limits)
    opened = {int(each.name): str(each.readlink()) for each in (process / "fd").iterdir()}
    assert sorted(opened)[:3] == [0, 1, 2]
    assert [where for number, where in opened.items() if number > 2 and not where.startswith("socket:")] == []
    assert len(opened) == 4


@requires("root")
def test_it_is_in_a_network_of_its_own(keeper: KeeperClient) -> None:
    for name in ("net", "ipc", "uts"):
        theirs, ours = (Path(f"/proc/{process}/ns/{name}").readlink() for process in (keeper.process, "self"))
        assert theirs != ours


def test_it_ends_when_its_client_does(built: Built, request_: BuildRequest) -> None:
    client = KeeperClient.start(None)
    client.close()
    client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(client.process, 0)
    with pytest.raises(KeeperGone):
        client.sign(request_, built)


def test_a_keeper_that_was_killed_is_told(built: Built, request_: BuildRequest) -> None:
    with KeeperClient.start(None) as client:
        os.kill(client.process, signal.SIGKILL)
        with pytest.raises(KeeperGone):
            client.sign(request_, built)


def test_a_keeper_that_says_nothing_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, built: Built, request_: BuildRequest
) -> None:
    with KeeperClient.start(None) as client:
        os.kill(client.process, signal.SIGSTOP)
        answered = client._channel.answered
        monkeypatch.setattr(client._channel, "answered", lambda: answered(0.05))
        monkeypatch.setattr("appliance.box.approval.keeping.client.END_SECONDS", 0.05)
        with pytest.raises(KeeperGone, match="did not end in time"):
            client.sign(request_, built)
        with pytest.raises(ProcessLookupError):  # it would not end by itself either
            os.kill(client.process, 0)


def test_a_terminals_interrupt_is_its_parents_to_answer(built: Built, request_: BuildRequest) -> None:
    with KeeperClient.start(None) as client:
        os.kill(client.process, signal.SIGINT)
        os.kill(client.process, signal.SIGHUP)
        assert client.sign(request_, built).signatures


def test_what_others_answer_in_its_place_is_not_taken(built: Built, request_: BuildRequest) -> None:
    ours, theirs = socket.socketpair()
    impostor = Channel(theirs)
    impostor.answer(Status.READY, PrivateKey.generate().public.raw)
    client = KeeperClient(ours)
    with KeeperClient.start(None) as real:
        impostor.answer(Status.SIGNED, real.sign(request_, built).to_bytes())
    with pytest.raises(KeeperRefused, match="signed something else"):
        client.sign(request_, built)
    client.close()
    impostor.close()


def test_it_is_the_same_in_a_thread(built: Built, request_: BuildRequest, key: PrivateKey) -> None:
    """Without a process of its own: the clock that stands still, and stays behind, still counts."""
    clock = iter([1000.5, 1000.5, 999.0])
    keeper = Keeper(key, Tables.here(), users=[os.geteuid()], lifetime=60, clock=lambda: next(clock))
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=keeper.serve, args=(Channel(theirs),))
    thread.start()
    with KeeperClient(ours) as client:
        assert client.public == key.public
        statements = [client.sign(request_, built).statement() for _ in range(3)]
        with pytest.raises(KeeperRefused, match="nobody here has"):
            client.sign(request_, first_image(built, symbols=("system",)))
        client._channel.ask(b"no claim")
        assert client._channel.answered()[0] is Status.REFUSED
    thread.join(10)
    assert not thread.is_alive()
    theirs.close()
    assert [statement.serial for statement in statements] == [1_000_500_000, 1_000_500_001, 1_000_500_002]
    assert [(statement.issued, statement.expires) for statement in statements] == [(1000, 1060)] * 2 + [(999, 1059)]


def test_what_comes_in_pieces_is_one_request_and_too_slow_a_one_is_none(
    built: Built, request_: BuildRequest, claim: Claim, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=Keeper(key, Tables.here(), users=[os.geteuid()]).serve, args=(Channel(theirs),))
    thread.start()
    client = KeeperClient(ours)
    whole = packed(CLAIM, claim)
    for part in (len(whole).to_bytes(4, "little")[:3], len(whole).to_bytes(4, "little")[3:], whole[:7], whole[7:]):
        client._channel._send(part)
    assert client._channel.answered()[0] is Status.SIGNED
    monkeypatch.setattr("appliance.box.approval.keeping.protocol.PATIENCE", 0.05)
    client._channel._send(b"\1")
    thread.join(10)  # whoever begins a message and does not end it is not served any more
    assert not thread.is_alive()
    client.close()
    theirs.close()


@pytest.mark.parametrize("file", KeyFile)
def test_where_a_key_comes_from(file: KeyFile, key_file: Path, key: PrivateKey, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    if file is KeyFile.NEW:
        with pytest.raises(FileRefused, match="exists already"):
            key_at(key_file, file)
    else:
        assert key_at(key_file, file).public == key.public
    if file is KeyFile.KNOWN:
        with pytest.raises(FileRefused, match="no such file"):
            key_at(missing, file)
    else:
        assert key_at(missing, file).public == PrivateKey.load(missing).public
    assert key_at(None, file).public != key.public
