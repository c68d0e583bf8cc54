"""Telling systemd how the box is (sd_notify(3), sd_watchdog_enabled(3)): READY=1, RELOADING=1, WATCHDOG=1, STATUS=…"""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(*lines: str) -> None:
    """Send the lines to the service manager, if there is one; its absence, or a failure to reach it, is harmless."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.connect("\0" + address[1:] if address.startswith("@") else address)
        manager.sendall("\n".join(lines).encode())


def watchdog_wanted() -> bool:
    """Whether the service manager ends this process unless it says WATCHDOG=1 from time to time (WatchdogSec=)."""
    meant_for = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return os.environ.get("WATCHDOG_USEC", "").isdecimal() and meant_for == str(os.getpid())
