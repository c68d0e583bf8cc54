"""An interface of an inline box belongs to the box alone, while it runs; afterwards it is as it was before.

What is changed, and why:

    receive offloads off    GRO and LRO glue frames together; the box must see and forward what was on the wire
    IPv6 off                else the host speaks by itself: router solicitations, MLD, duplicate address detection
    closed to the host      the host's stack neither hears nor answers (`hooks.interfaces.clsact`)
    up                      if it was down

Promiscuous mode is not here: a packet socket asks for it (PACKET_MR_PROMISC), and the kernel ends it with the socket.
In tap mode the box changes nothing else, so a tapped interface is never isolated.

What was there before is written to a file first (see records). The file is locked while the interface is held, so no
two boxes take the same one; and if the process is killed the next one finds the file, restores what the *first* found,
and not what the killed one left.
"""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from pyroute2.netlink.exceptions import NetlinkError

from hooks.errors import InterfaceError
from hooks.interfaces.clsact import close_to_host, has_clsact, open_to_host
from hooks.interfaces.ethtool import read_features, set_features
from hooks.interfaces.netdev import Interface, demand_ethernet, find_interface, set_up
from hooks.interfaces.saved_state import STATE_DIRECTORY, SavedState, StateFile, remove_stale

IPV6_SETTINGS = Path("/proc/sys/net/ipv6/conf")
RECEIVE_OFFLOADS = ("rx-gro", "rx-lro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding")


class Isolation:
    """Hold one interface for the length of a `with` block, in the namespace of the thread that enters and leaves.

    Raises InterfaceError if it does not exist, has no Ethernet header, is loopback, a port of a bridge, carries an
    address, or is held by another box. Leaving never fails because the interface is gone, and leaving twice is
    harmless.
    """

    def __init__(self, name: str, *, state_directory: Path = STATE_DIRECTORY) -> None:
        self.name = name
        self._state_directory = state_directory
        self._held = ExitStack()

    def __enter__(self) -> Interface:
        try:
            return self._enter()
        except (OSError, NetlinkError) as error:  # it vanishes in the middle, say
            raise InterfaceError(f"it can't be isolated: {error}", where=self.name) from error

    def _enter(self) -> Interface:
        with ExitStack() as undo:
            interface = find_interface(self.name)
            _refuse_unfit(interface)
            remove_stale(self._state_directory)
            record = undo.enter_context(StateFile(self._state_directory, interface))
            before = record.read()
            if before is None:
                before = _read_state(interface)
                record.write(before)
            undo.callback(_restore, interface, before, record)
            _isolate(interface)
            self._held = undo.pop_all()
        return interface

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()


def _refuse_unfit(interface: Interface) -> None:
    name = interface.name
    demand_ethernet(interface)
    if interface.loopback:
        raise InterfaceError("the loopback interface can't be inline", where=name, hint="name a network card")
    if interface.master:
        hint = f"take it out with `ip link set {name} nomaster`"
        raise InterfaceError(f"it is a port of {interface.master}", where=name, hint=hint)
    if interface.own_addresses:
        hint = f"an inline interface has none: `ip address flush dev {name}`"
        raise InterfaceError(f"it carries the address {', '.join(interface.own_addresses)}", where=name, hint=hint)


def _read_state(interface: Interface) -> SavedState:
    features = read_features(interface.name)
    return SavedState(
        name=interface.name,
        ethernet=interface.ethernet,
        up=interface.up,
        offloads=tuple(
            name
            for name in RECEIVE_OFFLOADS
            if name in features and features[name].requested and features[name].changeable
        ),
        disable_ipv6=_ipv6_switch(interface.name, None),
        clsact=has_clsact(interface.name, interface.index),
    )


def _isolate(interface: Interface) -> None:
    """Close first, open for traffic last, so that no frame slips through in between."""
    close_to_host(interface.name, interface.index)
    _ipv6_switch(interface.name, "1")
    features = read_features(interface.name)
    wanted = [name for name in RECEIVE_OFFLOADS if name in features and features[name].changeable]
    set_features(interface.name, dict.fromkeys((name for name in wanted if features[name].requested), False))
    if not interface.up:
        set_up(interface, True)


def _restore(interface: Interface, before: SavedState, record: StateFile) -> None:
    """Put everything back, under the name that the interface has now; if it is gone there is nothing to do."""
    try:
        name = socket.if_indextoname(interface.index)
        with ExitStack() as steps:  # done from the last to the first; one that fails does not keep the others from it
            steps.callback(open_to_host, name, interface.index, remove_clsact=not before.clsact)
            if before.disable_ipv6 is not None:
                steps.callback(_ipv6_switch, name, before.disable_ipv6)
            steps.callback(set_features, name, dict.fromkeys(before.offloads, True))
            if not before.up:
                steps.callback(set_up, interface, False)
    except (OSError, InterfaceError) as error:
        if _exists(interface.index):
            reason = error.what if isinstance(error, InterfaceError) else error
            raise InterfaceError(f"it can't be put back as it was: {reason}", where=interface.name) from error
    record.forget()


def _exists(index: int) -> bool:
    with suppress(OSError):
        return bool(socket.if_indextoname(index))
    return False


def _ipv6_switch(interface: str, value: str | None) -> str | None:
    """Read `disable_ipv6`, and before that write `value` if it differs. None on a host without IPv6.

    A container may mount /proc/sys read-only; then IPv6 stays on, and the closed egress keeps the host silent.
    """
    switch = IPV6_SETTINGS / interface / "disable_ipv6"
    try:
        if value is not None and switch.read_text().strip() != value:
            switch.write_text(value)
        return switch.read_text().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        return None
