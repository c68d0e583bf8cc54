"""A prover's one life: confined, it reads a request, answers it, and ends.

It has one descriptor, its side of the conversation, and standard streams that lead nowhere but to its last words.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from appliance.box.proving.build import build
from appliance.box.proving.built import Built
from appliance.box.proving.channel import BOUNDS, Channel
from appliance.box.proving.fate import OUT_OF_MEMORY
from appliance.box.proving.records import decode, encode
from appliance.box.proving.refusals import Refusal
from appliance.box.proving.request import BuildRequest
from appliance.errors import TidegateError
from hooks.running_kernel import RunningKernel

CONVERSATION = 3  # the descriptor

Work: TypeAlias = Callable[[Channel, RunningKernel], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the two."""

    built: Built | None
    refusal: Refusal | None


def live(work: Work, conversation: int, words: int, confine: Callable[[], None], kernel: RunningKernel) -> NoReturn:
    """In a process that was just forked: keep the conversation and what takes the last words, and do the work."""
    status = 1
    try:
        _keep(conversation, words)
        stream = socket.socket(fileno=CONVERSATION)
        channel = Channel(stream)
        confine()
        work(channel, kernel)
        status = 0
    except MemoryError:
        status = OUT_OF_MEMORY
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
    finally:
        os._exit(status)  # nothing of the zygote's is to be ended here


def answer(channel: Channel, kernel: RunningKernel) -> None:
    """The work: what was asked, built, or why it can't be."""
    request = decode(BuildRequest, *channel.receive(BOUNDS))
    try:
        answered = Answer(build(request, kernel), None)
    except TidegateError as error:
        answered = Answer(None, Refusal.of(error))
    channel.send(*encode(answered))


def _keep(conversation: int, words: int) -> None:
    """Nothing else of what the zygote has open: other conversations, above all."""
    os.dup2(words, sys.stderr.fileno())
    os.dup2(conversation, CONVERSATION)  # where the zygote's own socket was
    os.closerange(CONVERSATION + 1, os.sysconf("SC_OPEN_MAX"))
