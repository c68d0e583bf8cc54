"""Network namespaces, and the links that join them: private networks for the lab and for tests.

A namespace belongs to a *thread*. `Namespace.entered()` moves the calling thread inside and back; whatever is opened
meanwhile stays there: a socket, a child process, a new thread. Two things do not follow: the other threads of the
process, and the mounted /sys (so `/sys/class/net` still lists the first namespace; ask the kernel through `netdev`).

Sources: setns(2), network_namespaces(7), rtnetlink(7); names live where iproute2 keeps them, in /run/netns.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2 import netns as registry
from pyroute2.netlink.exceptions import NetlinkError

from hooks.errors import InterfaceError, PrivilegeError

NAMES = Path("/run/netns")
CLONE_NEWNET = 0x40000000  # <linux/sched.h>
_OWNED_NAME = re.compile(r"(?P<prefix>[a-z]+)(?P<pid>\d+)-(?P<rest>[\w-]+)")

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A named network namespace. As a context manager it removes itself, and with it every link inside.
    Any thread; `entered` moves the one that calls it."""

    def __init__(self, name: str) -> None:
        """Speak to the namespace `name`, which exists; see `create`."""
        self.name = name

    @classmethod
    def create(cls, name: str) -> Namespace:
        """Make the namespace, with its loopback interface up. Raises PrivilegeError without CAP_SYS_ADMIN."""
        if os.geteuid() != 0:
            raise PrivilegeError("a network namespace can't be made", where=name, hint="run as root")
        registry.create(name)
        namespace = cls(name)
        namespace.set_up("lo")
        return namespace

    @property
    def path(self) -> Path:
        return NAMES / self.name

    def close(self) -> None:
        """Remove the name; the kernel removes the rest when the last process and socket inside are gone."""
        with suppress(FileNotFoundError):
            registry.remove(self.name)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Namespace({self.name!r})"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the calling thread into the namespace for the length of a `with` block. May be nested."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._move_thread()
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(home)

    def _move_thread(self) -> None:
        try:
            target = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise InterfaceError("no such network namespace", where=self.name, hint="see `ip netns list`") from None
        try:
            _setns(target)
        finally:
            os.close(target)

    def processes(self) -> list[int]:
        """The ids of the processes that live inside."""
        inside = self.path.stat().st_ino
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (entry / "ns/net").stat().st_ino == inside:
                    found.append(int(entry.name))
        return found

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program inside. `options` are those of `subprocess.Popen`. The caller ends it before `close`."""
        with self.entered():
            return subprocess.Popen(argv, **options)

    def run(self, argv: Sequence[str], *, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end and return its output as text; with `check`, a failure is an exception."""
        with self.entered():
            return subprocess.run(argv, check=check, capture_output=True, text=True, **options)

    @contextmanager
    def netlink(self) -> Iterator[Any]:
        """An rtnetlink socket of this namespace, for one block: pyroute2 opens one socket per thread, lazily."""
        with self.entered(), IPRoute() as route:
            yield route

    def add_veth(
        self,
        interface: str,
        peer: Namespace,
        peer_interface: str,
        *,
        address: str | None = None,
        peer_address: str | None = None,
    ) -> None:
        """Join `interface` here with `peer_interface` in `peer` by a virtual cable, both up.

        `address` and `peer_address` are Ethernet addresses; the kernel picks random ones otherwise.
        """
        far = os.open(peer.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            near_end: dict[str, Any] = {"ifname": interface}
            far_end: dict[str, Any] = {"ifname": peer_interface, "net_ns_fd": far}
            if address:
                near_end["address"] = address
            if peer_address:
                far_end["address"] = peer_address
            with self.netlink() as route:
                route.link("add", kind="veth", peer=far_end, **near_end)
        finally:
            os.close(far)
        self.set_up(interface)
        peer.set_up(peer_interface)

    def add_bridge(self, interface: str, ports: Sequence[str]) -> None:
        """Make a Linux bridge of `ports` that forwards at once (no spanning tree, no snooping), and set it up."""
        with self.netlink() as route:
            route.link("add", kind="bridge", ifname=interface, br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0)
            master = route.link_lookup(ifname=interface)[0]
            for port in ports:
                route.link("set", index=route.link_lookup(ifname=port)[0], master=master)
            route.link("set", index=master, state="up")

    def delete_link(self, interface: str) -> None:
        """Remove a link (of a veth pair, both ends). Harmless if it is gone."""
        with self.netlink() as route, _tolerate(errno.ENODEV):
            route.link("del", ifname=interface)

    def set_up(self, interface: str, up: bool = True) -> None:
        self.set_link(interface, state="up" if up else "down")

    def set_link(self, interface: str, **changes: Any) -> None:
        """Change attributes of a link by their rtnetlink names: `mtu=`, `address=`, `state=`…"""
        with self.netlink() as route:
            route.link("set", ifname=interface, **changes)

    def add_address(self, interface: str, address: str) -> None:
        """Give the interface `address`, as `198.18.0.1/15` or `2001:db8::1/64` (usable at once: no DAD)."""
        host, _, length = address.partition("/")
        ifa_f_nodad = 0x02 if ":" in host else 0  # IFA_F_NODAD of <linux/if_addr.h>
        with self.netlink() as route:
            index = route.link_lookup(ifname=interface)[0]
            route.addr("add", index=index, address=host, prefixlen=int(length), flags=ifa_f_nodad)

    def add_neighbour(self, interface: str, address: str, ethernet: str) -> None:
        """Enter who has `address`, for good, so that nobody needs to ask by ARP or neighbour discovery."""
        with self.netlink() as route:
            index = route.link_lookup(ifname=interface)[0]
            route.neigh("replace", ifindex=index, dst=address, lladdr=ethernet, state="permanent")

    def add_default_route(self, gateway: str) -> None:
        """Send what is not on-link to `gateway`."""
        with self.netlink() as route:
            route.route("add", dst="default", gateway=gateway)

    def sysctl(self, name: str, value: str | int | None = None) -> str:
        """Read, and before that write if there is a `value`, a setting below /proc/sys/net, as `ipv6/conf/…`."""
        path = Path("/proc/sys/net") / name
        with self.entered():
            if value is not None:
                path.write_text(str(value))
            return path.read_text().strip()


def owned_name(prefix: str, role: str) -> str:
    """A name that says which process owns the namespace: `tg1234-box`. `remove_leftovers` understands it."""
    return f"{prefix}{os.getpid()}-{role}"


def remove_leftovers(prefix: str) -> list[str]:
    """Remove namespaces named by `owned_name` whose process is gone (killed, say); return their names.

    Processes that still live in them are killed: they belong to nobody any more.
    """
    removed = []
    for entry in sorted(NAMES.iterdir()) if NAMES.is_dir() else []:
        match = _OWNED_NAME.fullmatch(entry.name)
        if match and match["prefix"] == prefix and not _is_alive(int(match["pid"])):
            leftover = Namespace(entry.name)
            for pid in leftover.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            leftover.close()
            removed.append(entry.name)
    return removed


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise PrivilegeError(f"the network namespace can't be entered: {os.strerror(number)}", hint="run as root")


@contextmanager
def _tolerate(*codes: int) -> Iterator[None]:
    """Let a netlink request fail with one of these errno values."""
    try:
        yield
    except NetlinkError as error:
        if error.code not in codes:
            raise
