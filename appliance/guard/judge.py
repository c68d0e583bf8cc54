"""What programs say of a call: it goes on, with this address or another one, or it ends with an errno.

Where a hook has several programs all are asked, in the object's order, each about what the one before left: one that
denies is enough. An address that a program wrote counts only if every one of them lets the call go on.
"""

from __future__ import annotations

import ctypes
import errno
from dataclasses import dataclass, replace
from typing import Protocol

from appliance.guard.addresses import AF_INET6, SocketAddress
from appliance.guard.callers import Asked, Caller
from appliance.guard.hooks import Call
from appliance.guard.programs import GuardProgram
from hooks.contracts.bind import BindContext, BindVerdict
from hooks.contracts.sock_addr import SockAddrContext, SocketVerdict

WINDOWS_AF_INET6 = 23
BIND, POST_BIND, UNBIND = range(3)  # bind_operation_t


class Socket(Asked, Protocol):
    """What judges look at of a socket."""

    @property
    def kind(self) -> Kind: ...


class Kind(Protocol):
    """AF_*, SOCK_*, IPPROTO_*."""

    @property
    def family(self) -> int: ...
    @property
    def type(self) -> int: ...
    @property
    def protocol(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """`errno` is 0 if the call goes on, to `address`. `program` is the one that denied or wrote the address.
    `privileged`: the port may be bound whoever asks."""

    address: SocketAddress
    errno: int = 0
    program: str | None = None
    privileged: bool = False


class Judge:
    """Asks the programs of an object. Any thread."""

    def __init__(self, programs: dict[str, list[GuardProgram]]) -> None:
        self._programs = programs

    def asks(self, call: Call) -> bool:
        """Whether some program judges such calls."""
        return any(name in self._programs for name in _HOOKS[call])

    @property
    def told_of_unbinding(self) -> bool:
        """Whether some program wants to know when an address is given back."""
        return "bind" in self._programs

    def judge(self, call: Call, caller: Caller, socket: Socket, address: SocketAddress) -> Judgement:
        """A call that is about an address of the internet."""
        version = 6 if address.family == AF_INET6 else 4
        judgement = Judgement(address)
        for program in self._programs.get(f"cgroup/{call.value}{version}", ()):
            judgement = _judge_address(program, caller, socket, judgement)
            if judgement.errno:
                return judgement
        if call is Call.BIND:
            for program in self._programs.get("bind", ()):
                judgement = _judge_bind(program, caller, socket, judgement)
                if judgement.errno:
                    return judgement
        return judgement

    def tell_bound(self, caller: Caller, socket: Socket, address: SocketAddress) -> None:
        """The address is bound: nobody can deny that any more."""
        for program in self._programs.get("bind", ()):
            context, _path = _bind_context(program, caller, socket, address, POST_BIND)
            program.ask(context)

    def tell_unbound(self, caller: Caller, socket: Socket, address: SocketAddress, path: str) -> None:
        """The address was given back; `path` is the program that had bound it."""
        for program in self._programs.get("bind", ()):
            context, _path = _bind_context(program, caller, socket, address, UNBIND, path)
            program.ask(context)


_HOOKS = {
    Call.BIND: ("bind", "cgroup/bind4", "cgroup/bind6"),
    Call.CONNECT: ("cgroup/connect4", "cgroup/connect6"),
}
_GO_ON = frozenset(
    {
        SocketVerdict.PROCEED,
        SocketVerdict.PROCEED_UNPRIVILEGED,
        SocketVerdict.PROCEED_SOFT,
        SocketVerdict.PROCEED_HARD,
    }
)


def _judge_address(program: GuardProgram, caller: Caller, socket: Socket, before: Judgement) -> Judgement:
    """A program of cgroup/…4 or 6, of either platform."""
    address, kind = before.address, socket.kind
    windows = program.hook.platform == "windows"
    family = WINDOWS_AF_INET6 if windows and address.family == AF_INET6 else address.family
    context = program.context(
        caller,
        socket,
        user_family=address.named_family,
        family=family if windows else kind.family,
        type=kind.type,
        protocol=kind.protocol,
        user_port=int.from_bytes(address.raw[2:4], "little"),
    )
    assert isinstance(context, SockAddrContext)
    size = len(address.address)
    ctypes.memmove(context.user_ip, address.address, size)
    answer = program.ask(context)
    if answer not in _GO_ON:
        return replace(before, errno=errno.EPERM, program=program.name)
    moved = address.moved(bytes(context.user_ip)[:size], (context.user_port & 0xFFFF).to_bytes(2, "little"))
    return replace(
        before,
        address=moved,
        program=program.name if moved is not address else before.program,
        privileged=before.privileged or answer is SocketVerdict.PROCEED_UNPRIVILEGED,
    )


def _judge_bind(program: GuardProgram, caller: Caller, socket: Socket, before: Judgement) -> Judgement:
    """A program of Windows' bind."""
    address = before.address
    context, _path = _bind_context(program, caller, socket, address, BIND)
    answer = program.ask(context)
    if answer is BindVerdict.DENY:
        return replace(before, errno=errno.EPERM, program=program.name)
    if answer is not BindVerdict.REDIRECT:
        return before
    size = len(context.socket_address)
    written = address.raw[:2] + bytes(context.socket_address)[2:] + address.raw[size:]
    return replace(before, address=replace(address, raw=written), program=program.name)


def _bind_context(
    program: GuardProgram,
    caller: Caller,
    socket: Socket,
    address: SocketAddress,
    operation: int,
    path: str | None = None,
) -> tuple[BindContext, object]:
    """A context of Windows' bind, and the memory of the path that it points to.

    There is room for 16 bytes of the address: an IPv6 address has its first half in there, and says 28.
    """
    text = (caller.program if path is None else path).encode("utf-16-le", "surrogatepass")
    memory = ctypes.create_string_buffer(text, len(text) + 1)
    context = program.context(
        caller,
        socket,
        app_id_start=ctypes.addressof(memory),
        app_id_end=ctypes.addressof(memory) + len(text),
        process_id=caller.process,
        socket_address_length=len(address.raw),
        operation=operation,
        protocol=socket.kind.protocol,
    )
    assert isinstance(context, BindContext)
    family = WINDOWS_AF_INET6 if address.family == AF_INET6 else address.family
    raw = family.to_bytes(2, "little") + address.raw[2 : len(context.socket_address)]
    ctypes.memmove(context.socket_address, raw, len(raw))
    return context, memory
