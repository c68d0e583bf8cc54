"""What programs say of a call: it goes on, with this address or another one, or it ends with an errno.

Where a hook has several programs all are asked, in the object's order, each about what the one before left: one that
denies is enough. An address that a program wrote counts only if every one of them lets the call go on.
"""

from __future__ import annotations

import ctypes
import errno
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from appliance.guard.addresses import AF_INET6, SHORTEST, SocketAddress
from appliance.guard.callers import Asked, Caller
from appliance.guard.hooks import PLACES, Call
from appliance.guard.programs import GuardProgram
from hooks.contracts.bind import BindContext, BindVerdict
from hooks.contracts.contract import Answer
from hooks.contracts.sock import SockContext
from hooks.contracts.sock_addr import SockAddrContext, SocketVerdict

WINDOWS_AF_INET6 = 23
OF_BOUND = ("cgroup/post_bind4", "cgroup/post_bind6")
BIND, POST_BIND, UNBIND = range(3)  # bind_operation_t


class Socket(Asked, Protocol):
    """What judges look at of a socket."""

    @property
    def kind(self) -> Kind: ...

    def local_address(self) -> bytes: ...


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
    `privileged`: the port may be bound whoever asks. `source` is the address that a datagram is to be sent from, empty
    if no program wrote one."""

    address: SocketAddress
    errno: int = 0
    program: str | None = None
    privileged: bool = False
    source: bytes = b""


Denied: TypeAlias = tuple[str, int]  # the program, and the errno


class Judge:
    """Asks the programs of an object. Any thread."""

    def __init__(self, programs: dict[str, list[GuardProgram]]) -> None:
        self._programs = programs
        self._asked = {
            (call, family): [
                program
                for name, place in PLACES.items()
                if place.call is call and place.family in (None, family) and name not in OF_BOUND
                for program in programs.get(name, ())
            ]
            for call in Call
            for family in SHORTEST
        }

    def asks(self, call: Call) -> bool:
        """Whether some program judges such calls."""
        return any(PLACES[name].call is call for name in self._programs)

    @property
    def told_of_unbinding(self) -> bool:
        """Whether some program wants to know when an address is given back."""
        return "bind" in self._programs

    def judge(self, call: Call, caller: Caller, socket: Socket, address: SocketAddress) -> Judgement:
        """A call that is about an address of the internet."""
        judgement = Judgement(address)
        for program in self._asked.get((call, address.family), ()):
            judge = _judge_bind if program.hook.name == "bind" else _judge_address
            judgement = judge(program, caller, socket, judgement)
            if judgement.errno:
                break
        return judgement

    def judge_creation(self, caller: Caller, kind: Kind) -> Denied | None:
        """A socket that is to be made."""
        for program in self._programs.get("cgroup/sock_create", ()):
            context = program.context(caller, NO_SOCKET, family=kind.family, type=kind.type, protocol=kind.protocol)
            assert isinstance(context, SockContext)
            if ended := _ends(program.ask(context), context):
                return program.name, ended
        return None

    @property
    def asks_of_bound(self) -> bool:
        """Whether some program judges addresses that are bound."""
        return any(name in self._programs for name in OF_BOUND)

    def judge_bound(self, caller: Caller, socket: Socket, address: SocketAddress) -> Denied | None:
        """An address that is bound, or is as good as that."""
        for program in self._programs.get(f"cgroup/post_bind{6 if address.family == AF_INET6 else 4}", ()):
            kind = socket.kind
            fields = {"family": kind.family, "type": kind.type, "protocol": kind.protocol, "src_port": address.port}
            context = program.context(caller, socket, **fields)
            assert isinstance(context, SockContext)
            place = (
                context.src_ip6
                if address.family == AF_INET6
                else ctypes.addressof(context) + SockContext.src_ip4.offset
            )
            ctypes.memmove(place, address.address, len(address.address))
            if ended := _ends(program.ask(context), context):
                return program.name, ended
        return None

    def tell_bound(self, caller: Caller, socket: Socket, address: SocketAddress) -> None:
        """The address is bound: nobody can deny that any more."""
        for program in self._programs.get("bind", ()):
            program.ask(_bind_context(program, caller, socket, address, POST_BIND))

    def tell_unbound(self, caller: Caller, socket: Socket, address: SocketAddress) -> None:
        """The address was given back that the caller had bound, and tell_bound told of."""
        for program in self._programs.get("bind", ()):
            program.ask(_bind_context(program, caller, socket, address, UNBIND))


class _NoSocket:
    """What is asked of a socket that is not made yet."""

    def cookie(self) -> int:
        return 0

    def namespace_cookie(self) -> int:
        return 0


NO_SOCKET = _NoSocket()
LAST_ERRNO = 4095  # MAX_ERRNO of include/linux/err.h
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
    source = _own_address(socket, address.family) if _has_source(program) else b""
    ctypes.memmove(context.msg_src_ip, source, len(source))
    answer = program.ask(context)
    if ended := _ends(answer, context):
        return replace(before, errno=ended, program=program.name)
    moved = address.moved(bytes(context.user_ip)[:size], (context.user_port & 0xFFFF).to_bytes(2, "little"))
    return replace(
        before,
        address=moved,
        program=program.name if moved is not address else before.program,
        privileged=before.privileged or answer is SocketVerdict.PROCEED_UNPRIVILEGED,
        source=b"" if (written := bytes(context.msg_src_ip)[: len(source)]) == source else written,
    )


def _ends(answer: Answer, context: SockAddrContext | SockContext) -> int:
    """The errno that the call ends with, 0 if it goes on: what the program set (set_retval), or EPERM if it denies."""
    code = -ctypes.c_int64(context.retval).value
    if 0 < code <= LAST_ERRNO:
        return code
    return 0 if answer in _GO_ON else errno.EPERM


def _has_source(program: GuardProgram) -> bool:
    return any(field.name.startswith("msg_src_ip") for field in program.hook.context.fields)


def _own_address(socket: Socket, family: int) -> bytes:
    """What the socket is bound to, if it is of that family; zeros else."""
    own = SocketAddress.read(socket.local_address(), socket.kind.family)
    return own.address if own is not None and own.family == family else bytes(16 if family == AF_INET6 else 4)


def _judge_bind(program: GuardProgram, caller: Caller, socket: Socket, before: Judgement) -> Judgement:
    """A program of Windows' bind."""
    address = before.address
    context = _bind_context(program, caller, socket, address, BIND)
    answer = program.ask(context)
    if answer is BindVerdict.DENY:
        return replace(before, errno=errno.EPERM, program=program.name)
    if answer is not BindVerdict.REDIRECT:
        return before
    size = len(context.socket_address)
    written = address.raw[:2] + bytes(context.socket_address)[2:] + address.raw[size:]
    return replace(before, address=replace(address, raw=written), program=program.name)


def _bind_context(
    program: GuardProgram, caller: Caller, socket: Socket, address: SocketAddress, operation: int
) -> BindContext:
    """A context of Windows' bind, which points to the caller's memory of the path: it must live as long.

    There is room for 16 bytes of the address: an IPv6 address has its first half in there, and says 28.
    """
    path = caller.windows_path
    start = ctypes.addressof(path)
    context = program.context(
        caller,
        socket,
        app_id_start=start,
        app_id_end=start + len(path) - 1,
        process_id=caller.process,
        socket_address_length=len(address.raw),
        operation=operation,
        protocol=socket.kind.protocol,
    )
    assert isinstance(context, BindContext)
    family = WINDOWS_AF_INET6 if address.family == AF_INET6 else address.family
    raw = family.to_bytes(2, "little") + address.raw[2 : len(context.socket_address)]
    ctypes.memmove(context.socket_address, raw, len(raw))
    return context
