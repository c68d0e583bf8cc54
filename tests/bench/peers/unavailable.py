"""Who can't be measured here, and why."""

from __future__ import annotations

from shutil import which


class Unavailable(Exception):
    """It isn't installed, or it, or this kernel, can't do what is asked. The message is the remark of its row."""


def need(program: str, package: str) -> None:
    """Raises Unavailable if there is no such program."""
    if which(program) is None:
        raise Unavailable(f"not installed (Debian's package {package})")


def last_line(text: str) -> str:
    """What a program complained of: the last line that says anything."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
