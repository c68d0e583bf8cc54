"""`tidegate guard (--object OBJ|--rules RULES) -- COMMAND…`: a command and all that it starts, under socket hooks."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from appliance.api import Object, open_object
from appliance.cli.guarded_rules import metrics_address, start_under_rules
from appliance.cli.output import warn
from appliance.ebpf.platform import PLATFORMS
from appliance.ebpf.spec import ProgramSpec
from appliance.errors import CannotRun, InputRefused
from appliance.guard.engine import Guarded
from appliance.guard.errors import NothingToGuard
from appliance.guard.hooks import check_programs
from appliance.guard.kernel.engine import KernelEngine
from appliance.guard.kernel.hooks import check_kernel_programs
from appliance.guard.kernel.loaded import load_in_kernel
from appliance.guard.seccomp.engine import OnFailure, SeccompEngine
from appliance.guard.statistics import Denial


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for: the object, those of its programs that are wanted, and how the command is to be run."""

    path: Path
    opened: Object
    wanted: Sequence[ProgramSpec]
    command: Sequence[str]
    tell: Callable[[Denial], object]
    on_failure: OnFailure
    strict: bool
    below: Path | None

    def tell_left_out(self, left_out: Mapping[str, str]) -> None:
        for name, why in left_out.items():
            warn(f"{self.path}: the program `{name}` is never asked: {why}")


def _start_here(order: _Order, held: ExitStack) -> Guarded:
    asked, left_out = check_programs(order.wanted, str(order.path))
    order.tell_left_out(left_out)
    chosen = [program.name for program in asked]
    for name, program in order.opened.programs.items():
        program.autoload = name in chosen
    loaded = held.enter_context(order.opened.load())
    engine = SeccompEngine(loaded, chosen, on_failure=order.on_failure, strict=order.strict)
    return engine.start(order.command, tell=order.tell)


def _start_in_kernel(order: _Order, held: ExitStack) -> Guarded:
    asked, left_out = check_kernel_programs(order.wanted, str(order.path))
    with ExitStack() as opened:
        loaded = opened.enter_context(load_in_kernel(order.opened.spec, [program.name for program in asked]))
        engine = KernelEngine(loaded, below=order.below, open_on_failure=order.on_failure is OnFailure.OPEN)
        guarded = engine.start(order.command, tell=order.tell)
        held.push(opened.pop_all())
    order.tell_left_out(left_out)
    return guarded


def _start_where_it_can(order: _Order, held: ExitStack) -> Guarded:
    try:
        return _start_in_kernel(order, held)
    except (CannotRun, NothingToGuard) as error:
        warn(f"not in the kernel, but here: {error}")
        return _start_here(order, held)


ENGINES: Mapping[str, Callable[[_Order, ExitStack], Guarded]] = {
    "here": _start_here,
    "kernel": _start_in_kernel,
    "auto": _start_where_it_can,
}


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--object",
    "path",
    metavar="OBJ",
    type=click.Path(path_type=Path),
    help="The object that judges.",
)
@click.option(
    "--rules",
    "rules_path",
    metavar="RULES",
    type=click.Path(path_type=Path),
    help="A document whose `guard:` judges.",
)
@click.option("--metrics", metavar="ADDRESS:PORT", help="With --rules: serve Prometheus the calls of each rule there.")
@click.option("--program", "names", metavar="P", multiple=True, help="Ask this program alone; once for each.")
@click.option("--platform", "platform_name", type=click.Choice(sorted(PLATFORMS)), help="Recognised if not given.")
@click.option(
    "--engine",
    type=click.Choice([*ENGINES]),
    default="here",
    show_default=True,
    help="Who asks the programs: this process (here), Linux itself (kernel: in a control group of version 2, as root), "
    "or Linux if it can (auto).",
)
@click.option(
    "--cgroup",
    "below",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The control group below which the kernel's engine makes one; this process's own if it isn't given.",
)
@click.option(
    "--on-failure",
    type=click.Choice([choice.value for choice in OnFailure]),
    default=OnFailure.CLOSED.value,
    show_default=True,
    help="If this process dies: watched calls fail, by the kernel's engine the command is killed (closed); or they go "
    "on unjudged (open).",
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
    path: Path | None,
    rules_path: Path | None,
    metrics: str | None,
    names: tuple[str, ...],
    platform_name: str | None,
    engine: str,
    below: Path | None,
    on_failure: str,
    strict: bool,
    quiet: bool,
    arguments: tuple[str, ...],
) -> int:
    """Run a command, and all that it starts, under the socket hooks of an eBPF object, or under rules.

    Each bind and connect of theirs is judged by the object's programs first. The exit status is the command's.
    """
    tell, failure = _hush if quiet else _tell, OnFailure(on_failure)
    with ExitStack() as held:
        if rules_path is not None:
            _refuse_beside_rules(path, names, platform_name, engine, below)
            address = metrics_address(metrics)
            guarded = start_under_rules(
                rules_path, arguments, held, metrics=address, tell=tell, on_failure=failure, strict=strict
            )
        elif path is None:
            raise click.UsageError("--object or --rules has to say what judges")
        elif metrics is not None:
            raise click.UsageError("--metrics belongs to --rules: an object has no rules to count by")
        else:
            opened, wanted = _wanted(path, names, platform_name)
            order = _Order(path, opened, wanted, arguments, tell, failure, strict, below)
            guarded = held.enter_context(ENGINES[engine](order, held))
        _pass_signals(guarded.process)
        return guarded.wait()


def _refuse_beside_rules(
    path: Path | None, names: tuple[str, ...], platform_name: str | None, engine: str, below: Path | None
) -> None:
    """What belongs to objects."""
    if path is not None:
        raise click.UsageError("one of --object and --rules says what judges")
    if names or platform_name:
        raise click.UsageError("--program and --platform belong to --object")
    if engine != "here" or below is not None:
        hint = "`tidegate compile RULES -o OUT.o` makes an object for --engine kernel"
        raise click.UsageError(f"--engine and --cgroup belong to --object: {hint}")


def _wanted(path: Path, names: tuple[str, ...], platform_name: str | None) -> tuple[Object, list[ProgramSpec]]:
    """The object, and the programs of those names, or all."""
    opened = open_object(path, platform=platform_name)
    for name in names:
        if name not in opened.programs:
            known = ", ".join(opened.programs) or "none"
            raise InputRefused(f"there is no program {name!r}", where=str(path), hint=f"programs: {known}")
    return opened, [program.spec for name, program in opened.programs.items() if not names or name in names]


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
