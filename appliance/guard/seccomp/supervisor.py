"""Who serves: receives a call, has it judged and performed, answers.

    registers ── duplicate of the socket ── copy of the address, once ── still the same caller?
              ── programs ── the call on the duplicate, with the copied address ── answer

Only calls about other sockets than those of the internet are let go on, and made by the kernel itself.
"""

from __future__ import annotations

import errno
import logging
import os
import select
from collections.abc import Callable, Mapping
from typing import TypeAlias

from appliance.guard.seccomp.calls.bind import bind
from appliance.guard.seccomp.calls.connect import connect
from appliance.guard.seccomp.calls.create import create
from appliance.guard.seccomp.calls.listen import listen
from appliance.guard.seccomp.calls.receive import recvfrom, recvmmsg, recvmsg
from appliance.guard.seccomp.calls.send import sendmmsg, sendmsg, sendto
from appliance.guard.seccomp.office import Office
from appliance.guard.seccomp.request import AnyRequest, Gone, Instead, Request, Result
from hooks.linux.unistd import number_of
from hooks.seccomp.listener import Notification

_LOGGER = logging.getLogger(__name__)

Serve: TypeAlias = Callable[[Office, Request], Result]

SERVED: Mapping[str, Serve] = {
    "bind": bind,
    "connect": connect,
    "listen": listen,
    "sendto": sendto,
    "sendmsg": sendmsg,
    "sendmmsg": sendmmsg,
    "recvfrom": recvfrom,
    "recvmsg": recvmsg,
    "recvmmsg": recvmmsg,
}


SETTLING = 200  # milliseconds: how long sockets may take to end behind the last process


CREATED = {"socket": create}


class Supervisor:
    """Serves the calls of one listener. One thread runs it; any thread stops it."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._served = {number_of(name): serve for name, serve in SERVED.items()}
        self._created = {number_of(name): serve for name, serve in CREATED.items()}
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)

    def run(self) -> None:
        """Until nobody is watched any more, or it is stopped."""
        listener, bindings, ready = self._office.listener, self._office.bindings, select.poll()
        for descriptor in (listener, self._stop, *([bindings] if bindings is not None else ())):
            ready.register(descriptor, select.POLLIN)
        while True:
            found = dict(ready.poll())
            if bindings is not None and bindings.fileno() in found:
                bindings.follow()
            if self._stop in found:
                return
            if found.get(listener.fileno(), 0) & select.POLLIN:
                try:
                    self._serve_next()
                except Exception:  # others call after this one
                    _LOGGER.exception("a call could not be answered")
            elif listener.fileno() in found:  # POLLHUP
                if bindings is not None:
                    bindings.settle(SETTLING)
                return

    def stop(self) -> None:
        """Have `run` return, now or as soon as it is called."""
        os.eventfd_write(self._stop, 1)

    def close(self) -> None:
        """Nobody runs or stops it any more."""
        os.close(self._stop)

    def _serve_next(self) -> None:
        notification = self._office.receive()
        if notification is not None:
            self._office.answer(notification, self._serve(notification))

    def _serve(self, notification: Notification) -> Result:
        """Whatever happens, there is a result: whoever waits must not wait for ever, nor others for him."""
        try:
            return self._perform(notification)
        except Gone:
            self._office.threads.forget(notification.thread)
            return -errno.EINTR  # that nobody hears
        except OSError as error:
            return -(error.errno or errno.EPERM)
        except Exception:
            _LOGGER.exception("a call could not be served")
            return -errno.EPERM

    def _perform(self, notification: Notification) -> Result:
        office = self._office
        if notification.call in self._created:
            thread = office.threads.living(notification.thread)
            return self._created[notification.call](office, AnyRequest(notification, office.listener, thread))
        request = Request(notification, office.listener, office.threads)
        result: Result = -errno.EPERM
        try:
            result = self._served[notification.call](office, request)
        finally:
            if result is not Instead.LATER:  # whoever answers later has the socket until then
                request.socket.close()
        return result
