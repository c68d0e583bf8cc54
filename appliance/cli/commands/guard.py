"""`tidegate guard --object OBJ -- COMMAND…`: a command and all that it starts, under an object's socket hooks."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click

from appliance.api import open_object
from appliance.cli.output import warn
from appliance.ebpf.platform import PLATFORMS
from appliance.errors import InputRefused
from appliance.guard.hooks import check_programs
from appliance.guard.seccomp.engine import OnFailure, SeccompEngine
from appliance.guard.statistics import Denial


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--object",
    "path",
    metavar="OBJ",
    required=True,
    type=click.Path(path_type=Path),
    help="The object that judges.",
)
@click.option("--program", "names", metavar="P", multiple=True, help="Ask this program alone; once for each.")
@click.option("--platform", "platform_name", type=click.Choice(sorted(PLATFORMS)), help="Recognised if not given.")
@click.option(
    "--on-failure",
    type=click.Choice([choice.value for choice in OnFailure]),
    default=OnFailure.CLOSED.value,
    show_default=True,
    help="If this process dies: watched calls fail (closed) or go on unjudged (open).",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse processes of several threads to bind and connect sockets of other families (AF_UNIX, AF_NETLINK, …), "
    "whose descriptors a second thread could exchange.",
)
@click.option("--quiet", is_flag=True, help="Don't tell of denials on standard error.")
@click.argument("arguments", metavar="COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    path: Path,
    names: tuple[str, ...],
    platform_name: str | None,
    on_failure: str,
    strict: bool,
    quiet: bool,
    arguments: tuple[str, ...],
) -> int:
    """Run a command, and all that it starts, under the socket hooks of an eBPF object.

    Each bind and connect of theirs waits until the object's programs have judged it. The exit status is the command's.
    """
    opened = open_object(path, platform=platform_name)
    for name in names:
        if name not in opened.programs:
            known = ", ".join(opened.programs) or "none"
            raise InputRefused(f"there is no program {name!r}", where=str(path), hint=f"programs: {known}")
    wanted = [program.spec for name, program in opened.programs.items() if not names or name in names]
    asked, left_out = check_programs(wanted, str(path))
    for name, why in left_out.items():
        warn(f"{path}: the program `{name}` is never asked: {why}")
    chosen = [program.name for program in asked]
    for name, program in opened.programs.items():
        program.autoload = name in chosen
    with opened.load() as loaded:
        engine = SeccompEngine(loaded, chosen, on_failure=OnFailure(on_failure), strict=strict)
        with engine.start(arguments, tell=_hush if quiet else _tell) as guarded:
            _pass_signals(guarded.process)
            return guarded.wait()


def _tell(denial: Denial) -> None:
    """That nobody hears it must not end the guard."""
    with suppress(OSError):
        print(f"tidegate: {denial}", file=sys.stderr, flush=True)


def _hush(denial: Denial) -> None:
    """Counted all the same."""


def _pass_signals(process: int) -> None:
    """What asks this process to end asks the command instead; what a terminal sends, the command gets by itself."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(opened, number)

    opened = os.pidfd_open(process)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, pass_on)
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
