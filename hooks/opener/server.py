"""The opener's own process: it keeps the privilege, and does a handful of things for the box that it belongs to.

    box (no privilege)  <── socket pair ──>  opener (CAP_NET_ADMIN, CAP_NET_RAW)
                        ──  request     ──>  one at a time; only on the interfaces that the box was started with
                        <── answer, descriptors

It parses nothing that the box sends (see `messages`), keeps no socket that it opened, and knows of no frame. When its
box closes the connection or ends, by `kill -9` as well, it puts every interface back and ends: what a box in one
process leaves to the next start.
"""

from __future__ import annotations

import ctypes
import select
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hooks.af_packet.opening import open_sockets
from hooks.errors import HookError
from hooks.interfaces.isolation import Isolation
from hooks.interfaces.isolation_watch import close_again
from hooks.interfaces.netdev import Interface, interface_state
from hooks.interfaces.saved_state import STATE_DIRECTORY
from hooks.opener.messages import Answer, Request, Verb
from hooks.opener.quota import Quota

ANSWER_SECONDS = 10.0  # until a box takes its answer; one that doesn't is treated as if it had ended

_Descriptors = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Permitted:
    """What a box may ask for: the names of its interfaces, and of those of them that it may isolate; how many sockets
    it may have on each at a time."""

    opened: frozenset[str]
    isolated: frozenset[str]
    most_sockets: int


@dataclass
class _Held:
    """An isolated interface; closing `undo` puts it back."""

    interface: Interface
    undo: ExitStack


@dataclass
class Server:
    """One box's opener. For one thread, whose network namespace it is about."""

    permitted: Permitted
    log: Callable[[str], None]
    state_directory: Path = STATE_DIRECTORY
    _held: dict[str, _Held] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._quota = Quota(self.permitted.most_sockets)

    def serve(self, connection: socket.socket, box: int | None = None) -> None:
        """Answer until the box asks for the end, closes the connection, or ends: `box` is a pidfd of it. All
        interfaces are put back then."""
        connection.settimeout(ANSWER_SECONDS)
        try:
            while (data := _next(connection, box)) and self._answer(connection, data):
                pass
        except (ConnectionResetError, BrokenPipeError):  # it has ended, with a question on the way
            pass
        except OSError as error:
            self.log(f"the box can't be answered: {error}")
        finally:
            self._put_back()

    def _answer(self, connection: socket.socket, data: bytes) -> bool:
        """Do what is asked, and say so; whether there is more to come."""
        number, verb, descriptors = 0, 0, _Descriptors()
        with ExitStack() as handed:
            try:
                request = Request.read(data)
                number, verb = request.number, request.verb
                result, descriptors = self._do(request, handed)
                answer = Answer(number, result)
            except Exception as error:  # whatever the request brought about, the interfaces are in these hands
                answer = Answer(number, {}, error)
            socket.send_fds(connection, [answer.encode()], descriptors)
        return verb != Verb.END

    def _do(self, request: Request, handed: ExitStack) -> tuple[Mapping[str, Any], _Descriptors]:
        """The result, and descriptors that `handed` closes."""
        name = request.name
        match request.verb:
            case Verb.OPEN:
                _demand(name in self.permitted.opened, name)
                self._quota.demand_room(name)
                opened = open_sockets(name, request.geometry, fanout=request.fanout, muted=bool(request.muted))
                handed.callback(opened.close)
                self._quota.count(name, opened)
                return {}, opened.descriptors
            case Verb.ISOLATE:
                _demand(name in self.permitted.isolated, name)
                return asdict(self._isolate(name)), ()
            case Verb.RELEASE:
                if held := self._held.pop(name, None):
                    held.undo.close()
                return {}, ()
            case Verb.CLOSE_AGAIN:
                _demand(name in self._held, name)
                return asdict(close_again(self._held[name].interface)), ()
            case Verb.END:
                if failures := self._put_back():
                    raise failures[0]
                return {}, ()
        raise HookError(f"an opener knows no verb {request.verb}")

    def _isolate(self, name: str) -> Interface:
        """What is isolated already stays so: the box may have given up waiting for the answer, and ask again."""
        if held := self._held.get(name):
            state = interface_state(name)
            if state is not None and state.index == held.interface.index:
                return held.interface
            self._held.pop(name).undo.close()
        with ExitStack() as undo:
            interface = undo.enter_context(Isolation(name, state_directory=self.state_directory))
            self._held[name] = _Held(interface, undo.pop_all())
        return interface

    def _put_back(self) -> list[Exception]:
        """Put back every interface, whatever becomes of the others; what went wrong, which is logged."""
        failures = list[Exception]()
        while self._held:
            _, held = self._held.popitem()
            try:
                held.undo.close()
            except Exception as error:
                self.log(str(error))
                failures.append(error)
        return failures


def _next(connection: socket.socket, box: int | None) -> bytes:
    """The next request, empty if none will come. Descriptors that somebody sent with it are never taken."""
    waiting = select.poll()
    for descriptor in (connection.fileno(), *(() if box is None else (box,))):
        waiting.register(descriptor, select.POLLIN)
    if box in dict(waiting.poll()):
        return b""
    return connection.recv(ctypes.sizeof(Request) + 1)


def _demand(granted: bool, name: str) -> None:
    if not granted:
        raise HookError("the box was not started with this interface", where=name)
