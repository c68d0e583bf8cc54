"""Who stays when the guard is killed: a process that does nothing until then.

It has the links, too, so that what runs in the group is judged until it has ended: then it kills the group, and removes
it. It is nobody's child here (its parent ends at once), so that who waits for children doesn't wait for it.
"""

from __future__ import annotations

import os
import time
from typing import NoReturn

from appliance.closeable import Closeable
from hooks.kernel.control_group import PAUSE, ControlGroup
from hooks.process import forget_signals, name_process

_DONE = b"d"


class GroupStandby(Closeable):
    """Made by the only thread of a process, behind the links; closing twice is harmless."""

    def __init__(self, group: ControlGroup) -> None:
        read, self._write = os.pipe()
        middle = os.fork()
        if middle == 0:
            os.close(self._write)
            if os.fork() == 0:
                _stand_by(group, read)
            os._exit(0)
        os.close(read)
        os.waitpid(middle, 0)

    def close(self) -> None:
        """It is needed no more."""
        if self._write >= 0:
            os.write(self._write, _DONE)
            os.close(self._write)
            self._write = -1


def _stand_by(group: ControlGroup, read: int) -> NoReturn:
    """Nothing of Python may come back from here."""
    try:
        os.setsid()  # a terminal's Ctrl-C is not for it
        forget_signals()
        name_process("guard-standby")
        _close_standard()
        if os.read(read, 1) != _DONE:
            while group.populated:
                group.kill()
                time.sleep(PAUSE)
            group.remove()
    finally:
        os._exit(0)


def _close_standard() -> None:
    """Whoever reads what the guard writes must see its end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
