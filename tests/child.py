"""A function in a process of its own, which may give up or break whatever a process has.

assert in_child(lambda: os.getuid()) == 0
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")
LIMIT_SECONDS = 60.0


def in_child(function: Callable[[], _Result]) -> _Result:
    """What it returns in a child made by fork; it must be something to be pickled, and simple in an unprivileged
    child. Fails with the child's traceback if it raises, and when it takes longer than LIMIT_SECONDS."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _answer(function, writing)
    os.close(writing)
    limit = threading.Timer(LIMIT_SECONDS, os.kill, (child, signal.SIGKILL))
    limit.start()
    try:
        with os.fdopen(reading, "rb") as answer:
            told = answer.read()
    finally:
        limit.cancel()
        limit.join()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert told, f"the child ended with {status} and without an answer"
    succeeded, result = pickle.loads(told)
    assert succeeded, result
    return result  # type: ignore[no-any-return]


def _answer(function: Callable[[], object], writing: int) -> None:
    """Never returns: what pytest would do at its end isn't the child's."""
    try:
        try:
            told = pickle.dumps((True, function()))
        except BaseException:
            told = pickle.dumps((False, traceback.format_exc()))
        while told:
            told = told[os.write(writing, told) :]
    finally:
        os._exit(0)
