"""Who serves: receives a call, has it judged and performed, answers.

    registers ── duplicate of the socket ── copy of the address, once ── still the same caller?
              ── programs ── the call on the duplicate, with the copied address ── answer

Only calls about other sockets than those of the internet are let go on, and made by the kernel itself.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

from appliance.guard.seccomp.calls.bind import bind
from appliance.guard.seccomp.calls.connect import connect, connect_by_sending
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.request import Gone, Instead, Request, Result
from hooks.linux.unistd import number_of
from hooks.seccomp.listener import Notification

_LOGGER = logging.getLogger(__name__)

Serve: TypeAlias = Callable[[Office, Request], Result]

SERVED: Mapping[str, Serve] = {
    "bind": bind,
    "connect": connect,
    "sendto": connect_by_sending,
    "sendmsg": connect_by_sending,
    "sendmmsg": connect_by_sending,
}


class Supervisor:
    """Serves the calls of one listener. For one thread."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._served = {number_of(name): serve for name, serve in SERVED.items()}

    def run(self) -> None:
        """Until nobody is watched any more, or the listener is woken up."""
        while (notification := self._office.listener.receive()) is not None:
            try:
                self.serve(notification)
            except Exception:  # whoever waits must not wait for ever, nor others for him
                _LOGGER.exception("a call could not be served")
                self._office.listener.answer(notification, -errno.EPERM)

    def serve(self, notification: Notification) -> None:
        """Judge, perform and answer one call."""
        listener = self._office.listener
        try:
            result = self._perform(notification)
        except Gone:
            self._office.threads.forget(notification.thread)
            return
        except OSError as error:
            result = -(error.errno or errno.EPERM)
        if result is Instead.CONTINUE:
            listener.continue_(notification)
        elif isinstance(result, int):
            listener.answer(notification, result)

    def _perform(self, notification: Notification) -> Result:
        request = Request(notification, self._office.listener, self._office.threads)
        result: Result = -errno.EPERM
        try:
            result = self._served[notification.call](self._office, request)
        finally:
            if result is not Instead.LATER:  # whoever answers later has the socket until then
                request.socket.close()
        return result
