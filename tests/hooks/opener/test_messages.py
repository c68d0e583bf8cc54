"""What crosses between a box and its opener: requests that say no more than they may, answers that fit."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hooks.af_packet.fanout import NEW_GROUP, Fanout
from hooks.af_packet.geometry import Geometry
from hooks.errors import HookError, InterfaceError, PrivilegeError
from hooks.opener.messages import MOST_BYTES, MOST_TEXT, Answer, Request, Verb

SIZE = ctypes.sizeof(Request)


@pytest.mark.parametrize("fanout", [None, Fanout(0xFFFFFFFF), Fanout(7, 0xFFFF)])
@pytest.mark.parametrize("mtu", [68, 1500, 9000, 65535])
def test_a_request_says_what_it_was_made_of(fanout: Fanout | None, mtu: int) -> None:
    read = Request.read(bytes(Request.to_open("outside", Geometry.for_mtu(mtu), fanout, muted=True)))
    assert (read.verb, read.name, read.geometry, read.fanout) == (Verb.OPEN, "outside", Geometry.for_mtu(mtu), fanout)
    assert read.muted


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE + 1])
def test_a_request_has_one_size(size: int) -> None:
    with pytest.raises(HookError, match=rf"^a request has {SIZE} bytes, not {size}$"):
        Request.read(bytes(size))


@pytest.mark.parametrize("name", ["sixteen-and-more", "nul\0", "é" * 8])
def test_a_name_that_no_interface_has_is_not_sent(name: str) -> None:
    with pytest.raises(InterfaceError, match="no such interface"):
        Request.about(Verb.ISOLATE, name)


@pytest.mark.parametrize(
    "sizes",
    [
        {"slot_size": 0},
        {"slot_size": 1024},
        {"slot_size": 2049},
        {"slot_size": 1 << 18},
        {"receive_slots": 0},
        {"transmit_slots": 0},
        {"receive_slots": (1 << 16) + 1},
        {"transmit_slots": 0xFFFFFFFF},
        {"headroom": (1 << 12) + 1},
        {"slot_size": 1 << 17, "receive_slots": 1 << 10},
    ],
)
def test_rings_that_no_box_asks_for_are_refused(sizes: Mapping[str, int]) -> None:
    request = Request.to_open("outside", Geometry(), None, muted=False)
    for name, value in sizes.items():
        setattr(request, name, value)
    with pytest.raises(HookError, match=r"^no rings are opened with slots of"):
        Request.read(bytes(request)).geometry  # noqa: B018


@pytest.mark.parametrize("group", [NEW_GROUP - 1, 0x10000, -(1 << 31)])
def test_a_group_that_there_cannot_be_is_refused(group: int) -> None:
    request = Request.to_open("outside", Geometry(), Fanout(1, group), muted=False)
    with pytest.raises(HookError, match=f"^there is no fanout group {group}$"):
        Request.read(bytes(request)).fanout  # noqa: B018


@given(some.binary(min_size=SIZE, max_size=SIZE))
def test_whatever_is_sent_is_a_request_or_refused(data: bytes) -> None:
    request = Request.read(data)
    assert len(request.name) <= 16
    for part in ("geometry", "fanout"):
        try:
            getattr(request, part)
        except HookError as refused:
            assert type(refused) is HookError


@pytest.mark.parametrize(
    "error",
    [
        HookError("no", where="/run/tidegate", hint="do"),
        InterfaceError("no such interface", where="outside", hint="this machine has lo"),
        PrivilegeError("packet sockets need CAP_NET_RAW"),
    ],
)
def test_an_error_is_raised_again_with_its_type_and_fields(error: HookError) -> None:
    raised = Answer.decode(Answer(7, {}, error).encode()).error
    assert isinstance(raised, HookError)
    assert (type(raised), raised.what, raised.where, raised.hint) == (type(error), error.what, error.where, error.hint)


def test_an_error_of_the_system_keeps_its_number() -> None:
    raised = Answer.decode(Answer(7, {}, OSError(errno.ENODEV, "No such device")).encode()).error
    assert isinstance(raised, OSError)
    assert (raised.errno, raised.strerror) == (errno.ENODEV, "No such device")


class Special(InterfaceError):
    """One that the other side has not heard of."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (TimeoutError("timed out"), "TimeoutError: timed out"),
        (Special("odd", where="outside"), "outside: odd"),
    ],
)
def test_any_other_error_is_one_of_the_machine(error: Exception, words: str) -> None:
    raised = Answer.decode(Answer(7, {}, error).encode()).error
    assert type(raised) is HookError
    assert str(raised) == words


@pytest.mark.parametrize("letter", ["a", "\x01", "\U0001f30a", '"', "\udc80"])
def test_an_answer_fits_whatever_it_has_to_tell(letter: str) -> None:
    told = letter * 100_000
    answer = Answer(0xFFFFFFFF, {}, InterfaceError(told, where=told, hint=told)).encode()
    assert len(answer) <= MOST_BYTES
    raised = Answer.decode(answer).error
    assert isinstance(raised, InterfaceError)
    assert len(raised.what) == MOST_TEXT
    assert raised.what.endswith("…")
