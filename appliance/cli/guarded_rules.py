"""`tidegate guard --rules`: rules compiled, loaded, asked, and counted for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from appliance.guard.engine import Guarded
from appliance.guard.rules import RulesJudge, open_rules
from appliance.guard.seccomp.engine import OnFailure, SeccompEngine
from appliance.guard.statistics import Denial
from appliance.metrics.address import read_address
from appliance.metrics.guard import Counted, GuardCollector
from appliance.metrics.server import MetricsServer
from appliance.rules.sockets import compile_guard_rules, load_guard_rules


def start_under_rules(
    path: Path,
    command: Sequence[str],
    held: ExitStack,
    *,
    metrics: tuple[str, int] | None,
    tell: Callable[[Denial], object],
    on_failure: OnFailure,
    strict: bool,
) -> Guarded:
    """The command, running; metrics are served until `held` closes. To be called while there is one thread."""
    compiled = compile_guard_rules(load_guard_rules(path))
    loaded = held.enter_context(open_rules(compiled).load())
    judge = RulesJudge(loaded, compiled)
    engine = SeccompEngine(loaded, (), judge=judge, on_failure=on_failure, strict=strict)
    collector = GuardCollector(lambda: _counted(judge))
    if metrics:
        MetricsServer(*metrics, collector).close()  # what can't be served is told before the command starts
    guarded = held.enter_context(engine.start(command, tell=tell))
    if metrics:
        held.enter_context(MetricsServer(*metrics, collector))
    return guarded


def metrics_address(text: str | None) -> tuple[str, int] | None:
    """What `--metrics` says. Raises UsageError."""
    if text is None:
        return None
    address = read_address(text)
    if address is None:
        raise click.UsageError(f"--metrics: {text!r} is not an address and a port, such as 127.0.0.1:9479")
    return address


def _counted(judge: RulesJudge) -> Counted:
    return (((count.rule, count.op.value, count.verdict), calls) for count, calls in judge.counts().items())
