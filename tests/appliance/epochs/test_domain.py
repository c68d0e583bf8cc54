"""The registry of readers, and those who wait for them."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator

import pytest

from appliance.epochs import QUIESCENT, Domain, GracePeriodExpired, NativeReader
from appliance.epochs.domain import MOST_RETIRED, DomainStatistics, ReaderState

SHORT = 0.01  # seconds: for waits that must fail


class Loop:
    """What a native loop does, done by hand."""

    def __init__(self, domain: Domain, name: str) -> None:
        self._word = ctypes.c_uint64(QUIESCENT)
        self._domain = domain
        self.reader = NativeReader(name, ctypes.addressof(self._word))
        domain.register(self.reader)

    def quiescent_state(self) -> None:
        self._word.value = self._domain.statistics().epoch

    def offline(self) -> None:
        self._word.value = QUIESCENT


@pytest.fixture
def domain() -> Domain:
    return Domain()


@pytest.fixture
def loop(domain: Domain) -> Iterator[Loop]:
    made = Loop(domain, "loop")
    yield made
    domain.unregister(made.reader)


def in_thread(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def test_nobody_reads(domain: Domain) -> None:
    freed: list[str] = []
    domain.retire(lambda: freed.append("at once"))
    assert freed == ["at once"]
    domain.synchronize(0)
    assert domain.statistics() == DomainStatistics(epoch=3, readers=(), retired=0)


def test_a_reader_that_is_awake_is_waited_for(domain: Domain, loop: Loop) -> None:
    freed: list[str] = []
    loop.quiescent_state()
    domain.retire(lambda: freed.append("first"))
    domain.retire(lambda: freed.append("second"))
    with pytest.raises(GracePeriodExpired, match=r"^waited 0.01 s for loop: no quiescent state\n  hint: ") as expired:
        domain.synchronize(SHORT)
    assert (expired.value.readers, expired.value.seconds, freed) == (("loop",), SHORT, [])
    assert domain.statistics().retired == 2
    loop.quiescent_state()
    assert (domain.reclaim(), freed) == (0, ["first", "second"])


def test_a_reader_that_is_offline_is_not(domain: Domain, loop: Loop) -> None:
    freed: list[str] = []
    loop.quiescent_state()
    domain.retire(lambda: freed.append("gone"))
    assert domain.reclaim(SHORT) == 1
    loop.offline()
    assert domain.statistics().readers == (ReaderState("loop", QUIESCENT, offline=True),)
    domain.synchronize(0)
    assert (domain.reclaim(), freed) == (0, ["gone"])


def test_nor_is_one_that_has_ended(domain: Domain, loop: Loop) -> None:
    loop.quiescent_state()
    domain.unregister(loop.reader)
    domain.synchronize(0)
    assert domain.statistics().readers == ()


def test_what_is_retired_later_does_not_keep_what_was_before(domain: Domain, loop: Loop) -> None:
    freed: list[int] = []
    loop.quiescent_state()
    domain.retire(lambda: freed.append(1))
    loop.quiescent_state()
    domain.retire(lambda: freed.append(2))
    assert (freed, domain.statistics().retired) == ([1], 1)


def test_a_section_keeps_what_was_there_when_it_began(domain: Domain) -> None:
    freed: list[str] = []
    with domain.reading("outer"):
        domain.retire(lambda: freed.append("in outer"))
        with domain.reading("inner"):
            domain.retire(lambda: freed.append("in inner"))
            assert [(state.epoch, state.offline) for state in domain.statistics().readers] == [(2, False), (1, False)]
        assert freed == []
    assert freed == ["in outer", "in inner"]


def test_sections_of_other_threads_are_waited_for(domain: Domain) -> None:
    inside, leave = threading.Event(), threading.Event()

    def read() -> None:
        with domain.reading("a test run"):
            inside.set()
            leave.wait()

    reader = in_thread(read)
    inside.wait()
    with pytest.raises(GracePeriodExpired, match=r"for a test run \(thread \d+\): no"):
        domain.synchronize(SHORT)
    leave.set()
    domain.synchronize()
    reader.join()


def test_nobody_waits_for_himself(domain: Domain) -> None:
    with domain.reading("a walk"), pytest.raises(RuntimeError, match="illegal synchronize"):
        domain.synchronize()


def test_many_wait_at_once(domain: Domain, loop: Loop) -> None:
    """None of them holds what another needs: all come back once the reader has passed, though each began an epoch."""
    loop.quiescent_state()
    freed: list[int] = []

    def wait(number: int) -> None:
        domain.retire(lambda: freed.append(number))
        domain.synchronize()

    waiting = [in_thread(lambda number=number: wait(number)) for number in range(8)]  # type: ignore[misc]
    while any(thread.is_alive() for thread in waiting):
        loop.quiescent_state()
    assert sorted(freed) == list(range(8))


def test_a_reader_that_hangs_costs_a_bounded_amount(domain: Domain, loop: Loop) -> None:
    loop.quiescent_state()
    for _ in range(MOST_RETIRED):
        domain.throttle(0)
        domain.retire(lambda: None)
    with pytest.raises(GracePeriodExpired):
        domain.throttle(0)
    loop.offline()
    domain.throttle(0)
    assert domain.statistics().retired == 0


def test_all_is_freed_whatever_one_raises(domain: Domain) -> None:
    freed: list[str] = []
    with pytest.raises(ZeroDivisionError), domain.reading("somebody"):
        domain.retire(lambda: 1 // 0)
        domain.retire(lambda: freed.append("the other"))
    assert (freed, domain.statistics().retired) == (["the other"], 0)


def test_what_is_freed_may_retire(domain: Domain) -> None:
    """As a map does that held maps."""
    freed: list[str] = []
    with domain.reading("somebody"):
        domain.retire(lambda: domain.retire(lambda: freed.append("inner")))
    assert freed == ["inner"]
