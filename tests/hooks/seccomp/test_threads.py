"""Threads by number: their descriptors, their memory, and numbers that become another's."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import threading
from collections.abc import Iterator

import pytest

from hooks.linux.capability import effective
from hooks.seccomp.capabilities import only_capabilities
from hooks.seccomp.pending import PendingSignals
from hooks.seccomp.threads import Thread, Threads, is_alone, read_memory, write_memory
from tests.capabilities import requires

pytestmark = requires("root")


@pytest.fixture
def threads() -> Iterator[Threads]:
    found = Threads()
    yield found
    found.close()


def test_a_duplicate_is_the_same_file(threads: Threads) -> None:
    read, write = os.pipe()
    thread, copy = threads.duplicate(os.getpid(), read)
    os.write(write, b"x")
    assert (os.read(copy, 1), thread.process) == (b"x", os.getpid())
    with pytest.raises(OSError, match="Bad file descriptor"):
        threads.duplicate(os.getpid(), 99999)
    for descriptor in (read, write, copy):
        os.close(descriptor)


def test_a_number_that_became_anothers(threads: Threads) -> None:
    """As if this process had got the number of one that died."""
    own = os.getpid()
    threads._known[own] = dead(own)
    thread, copy = threads.duplicate(own, 1)
    os.close(copy)
    assert thread.process == own
    threads.forget(own)
    threads._known[own] = dead(own)
    assert threads.living(own).process == own


def dead(number: int) -> Thread:
    with subprocess.Popen(["true"]) as gone:
        return Thread(number, gone.pid, os.pidfd_open(gone.pid))


def test_nobody_has_the_number(threads: Threads) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    with pytest.raises(OSError) as error:
        threads.find(gone.pid)
    assert error.value.errno == errno.ESRCH


def test_no_more_are_kept_than_are_of_use(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hooks.seccomp.threads.MOST_KEPT", 1)
    threads.find(os.getpid())
    threads.find(os.getppid())
    assert list(threads._known) == [os.getppid()]


def test_memory_is_copied_whole_or_not_at_all() -> None:
    own, text = os.getpid(), ctypes.create_string_buffer(b"some text", 16)
    place = ctypes.addressof(text)
    assert read_memory(own, place, 9) == b"some text"
    assert read_memory(own, 0, 0) == b""
    write_memory(own, place + 5, b"news")
    assert text.raw[:9] == b"some news"
    for call in (lambda: read_memory(own, 0, 1), lambda: write_memory(own, 0, b"x")):
        with pytest.raises(OSError) as error:
            call()
        assert error.value.errno == errno.EFAULT


def test_a_process_is_alone_or_not() -> None:
    with subprocess.Popen(["sleep", "10"]) as child:
        assert is_alone(child.pid)
        child.kill()
    held = threading.Event()
    other = threading.Thread(target=held.wait)
    other.start()
    assert not is_alone(os.getpid())
    held.set()
    other.join()


def test_signals_that_wait() -> None:
    none = PendingSignals.of(os.getpid())
    assert (none.own, none.shared, none.certain) == (0, 0, False)
    assert PendingSignals(1, 0, 5).certain
    assert PendingSignals(0, 1, 1).certain
    assert not PendingSignals(0, 1, 2).certain


def test_capabilities_are_given_up_for_a_moment() -> None:
    before = effective()
    with only_capabilities(1 << 10):
        assert effective() == 1 << 10 & before
    assert effective() == before
