"""Who gave privilege up can do nothing with what is left, and has no way back."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hooks.errors import HookError, PrivilegeError
from hooks.linux.capability import CAP_NET_ADMIN, CAP_NET_RAW, CAP_SETPCAP, CAP_SETUID, capset
from hooks.linux.prctl import PR_SET_SECUREBITS, prctl
from hooks.sandbox.capabilities import NOBODY, Account, Privileges, drop_privileges
from tests.capabilities import requires
from tests.child import in_child

pytestmark = requires("root")
PTRACE_ATTACH = 16


def refusal(action: Callable[[], object]) -> str | None:
    """The name of the error that the kernel has for it."""
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return None


def trace(process: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_ATTACH, process, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")


def dropped(action: Callable[[], object], account: Account | None = NOBODY) -> str | None:
    def child() -> str | None:
        drop_privileges(account=account)
        return refusal(action)

    return in_child(child)


@contextmanager
def another_process() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        try:
            yield sleeping.pid
        finally:
            sleeping.kill()


def test_nothing_is_left_of_root() -> None:
    def child() -> Privileges:
        drop_privileges(account=NOBODY)
        return Privileges.of()

    none = frozenset[int]()
    assert in_child(child) == Privileges(
        frozenset({NOBODY.user}), frozenset({NOBODY.group}), none, none, none, none, none, no_new_privileges=True
    )


@pytest.mark.parametrize("account", [None, NOBODY])
def test_a_packet_socket_is_refused(account: Account | None) -> None:
    assert dropped(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW), account) == "EPERM"


@pytest.mark.parametrize("account", [None, NOBODY])
def test_no_process_with_privileges_can_be_traced(account: Account | None) -> None:
    assert dropped(lambda: trace(os.getppid()), account) == "EPERM"


def test_no_process_of_others_can_be_ended() -> None:
    with another_process() as process:
        assert dropped(lambda: os.kill(process, signal.SIGTERM)) == "EPERM"


@pytest.mark.parametrize("mode", [0o600, 0o000])
def test_what_only_root_may_read_is_not_read(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(0o755)
    secret = tmp_path / "secret"
    secret.write_text("key")
    secret.chmod(mode)
    assert dropped(lambda: os.read(os.open(secret, os.O_RDONLY), 10)) == "EACCES"


def test_the_user_does_not_come_back() -> None:
    assert dropped(lambda: os.setresuid(0, 0, 0)) == "EPERM"
    assert dropped(lambda: os.setgroups([0])) == "EPERM"


@pytest.mark.parametrize("account", [None, NOBODY])
def test_capabilities_do_not_come_back(account: Account | None) -> None:
    assert dropped(lambda: capset({CAP_NET_RAW}), account) == "EPERM"
    assert dropped(lambda: prctl(PR_SET_SECUREBITS, 0), account) == "EPERM"


def test_who_stays_root_gains_nothing_by_executing_a_file() -> None:
    """Not even one that the bounding set would let gain: NOROOT and no_new_privs stand before it."""

    def child() -> str:
        drop_privileges()
        return subprocess.run(["grep", "^Cap", "/proc/self/status"], capture_output=True, text=True, check=True).stdout

    assert {line.split()[1] for line in in_child(child).splitlines()} == {"0" * 16}


def test_what_is_kept_is_kept_by_another_user_and_nothing_else() -> None:
    def child() -> tuple[Privileges, str | None, str | None]:
        drop_privileges({CAP_NET_RAW}, account=NOBODY)
        opened = refusal(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
        return Privileges.of(), opened, refusal(lambda: capset({CAP_NET_RAW, CAP_NET_ADMIN}))

    left, opened, gained = in_child(child)
    assert (opened, gained) == (None, "EPERM")
    assert left.permitted == left.effective == left.bounding == {CAP_NET_RAW}
    assert left.users == {NOBODY.user}


def test_who_has_little_gives_that_up() -> None:
    """As in a container that has no CAP_SETPCAP: the bounding set stays, and is of no use."""

    def child() -> tuple[Privileges, str | None]:
        capset({CAP_NET_RAW})
        drop_privileges()
        return Privileges.of(), refusal(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))

    left, opened = in_child(child)
    assert (left.permitted, left.effective, left.no_new_privileges) == (frozenset(), frozenset(), True)
    assert CAP_SETPCAP in left.bounding
    assert opened == "EPERM"


def test_what_can_not_be_given_up_is_an_error() -> None:
    def child() -> str:
        capset({CAP_NET_RAW})
        with pytest.raises(PrivilegeError) as raised:
            drop_privileges(account=NOBODY)
        return str(raised.value)

    assert in_child(child) == "privileges can't be given up: Operation not permitted (run as root)"


def test_it_is_done_before_threads_run() -> None:
    def child() -> str:
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        thread.start()
        try:
            with pytest.raises(HookError) as raised:
                drop_privileges()
        finally:
            over.set()
            thread.join()
        return str(raised.value)

    assert in_child(child) == "2 threads run, and privileges are given up by one (do it before they start)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"permitted": frozenset({CAP_SETUID})}, "the permitted set still has the capabilities [7]"),
        ({"ambient": frozenset({CAP_NET_RAW})}, "the ambient set still has the capabilities [13]"),
        ({"inheritable": frozenset({CAP_NET_RAW})}, "the inheritable set still has the capabilities [13]"),
        ({"users": frozenset({0, 65534})}, "it is still of the users [0, 65534] and the groups [65534]"),
        ({"no_new_privileges": False}, "it may still gain privileges by execve"),
        ({"effective": frozenset({CAP_NET_RAW})}, None),
    ],
)
def test_a_half_is_told_from_the_whole(change: dict[str, object], words: str | None) -> None:
    none = frozenset[int]()
    whole = {
        "users": frozenset({NOBODY.user}),
        "groups": frozenset({NOBODY.group}),
        **dict.fromkeys(("inheritable", "permitted", "effective", "bounding", "ambient"), none),
        "no_new_privileges": True,
    }
    assert Privileges(**{**whole, **change}).problem({CAP_NET_RAW}, NOBODY) == words  # type: ignore[arg-type]
