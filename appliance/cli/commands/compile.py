"""`tidegate compile RULES -o OUT.o`: a rule set to an eBPF object that runs here, in the Linux kernel, or elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.fill import PINS, write_fill
from appliance.cli.output import counted, warn
from appliance.errors import CannotRun, InputRefused
from appliance.rules import CompiledRules, RuleSet
from appliance.rules.code.compile import compile_rule_set
from appliance.rules.code.redirects import entry
from appliance.rules.document.load import load_rule_set
from appliance.rules.model import Action, Mode
from appliance.rules.sockets import compile_guard_rules, is_guard, load_guard_rules
from appliance.rules.sockets.model import HasFact
from hooks.interfaces.netdev import interface_state


@click.command()
@click.argument("rules", metavar="RULES", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT.o", required=True, type=click.Path(path_type=Path))
@click.option(
    "--fill",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write what its maps must be given, a file of `bpftool batch` for each, into this folder.",
)
@click.option("--pins", metavar="DIR", default=PINS, show_default=True, help="With --fill: where the maps are pinned.")
def command(rules: Path, output: Path, fill: Path | None, pins: str) -> None:
    """Compile a rule set, or a guard's rules, to a portable eBPF object.

    \b
    Examples:
      tidegate compile rules.yaml -o rules.o
      tidegate compile rules.yaml -o rules.o --fill maps
    """
    if is_guard(rules):
        _compile_guard(rules, output, fill, pins)
        return
    rule_set = load_rule_set(rules)
    _refuse_mirrors(rule_set)
    compiled = compile_rule_set(rule_set)
    _write(output, compiled.object, len(compiled.rules))
    if fill is not None:
        written = write_fill(fill, {**compiled.contents, **_interfaces(compiled)}, pins.rstrip("/"))
        print(f"{fill}: {counted(len(written), 'file')} for `bpftool batch file`")
        return
    for name, entries in compiled.contents.items():
        if entries:
            whose = f"whoever loads it must put {len(entries)} entries into map `{name}` (see --fill)"
            warn(f"an object can't carry a large set: {whose}")
    for name, exits in compiled.exits.items():
        listed = ", ".join(map(str, exits))
        warn(f"an object can't carry interfaces: whoever loads it must put {listed} into map `{name}` (see --fill)")


def _write(output: Path, data: bytes, rules: int) -> None:
    try:
        output.write_bytes(data)
    except OSError as error:
        raise CannotRun(f"can't be written: {error.strerror}", where=str(output)) from error
    print(f"{output}: {len(data)} bytes, {counted(rules, 'rule')}")


def _compile_guard(rules: Path, output: Path, fill: Path | None, pins: str) -> None:
    """A guard's rules. Refuses those that ask what no program can find out by itself."""
    guard = load_guard_rules(rules)
    for rule in guard.rules:
        for fact in (fact for each in rule.conditions if isinstance(each, HasFact) for fact in each.facts):
            what = f"rule {rule.id!r} matches {fact.kind.value}, which no helper of a program tells"
            hint = "`tidegate guard --rules` tells its programs; leave it out for an object that others load"
            raise InputRefused(what, where=rule.where, hint=hint)
    compiled = compile_guard_rules(guard)
    _write(output, compiled.object, compiled.rule_count)
    if fill is not None:
        written = write_fill(fill, dict(compiled.contents), pins.rstrip("/"))
        print(f"{fill}: {counted(len(written), 'file')} for `bpftool batch file`")
        return
    for name, entries in compiled.contents.items():
        whose = f"whoever loads it must put {len(entries)} entries into map `{name}` (see --fill)"
        warn(f"an object can't carry a large set: {whose}")


def _refuse_mirrors(rules: RuleSet) -> None:
    """Where frames pass to a host and not to an interface, no copy of them can be sent."""
    for rule in rules.rules:
        if rule.action is Action.MIRROR and rule.mode is Mode.ENFORCE:
            hint = "Linux's XDP can't let a frame pass to its host and send a copy as well; `tidegate run` sends both"
            raise InputRefused(f"rule {rule.id!r} mirrors, which only a box does", where=rule.where, hint=hint)


def _interfaces(compiled: CompiledRules) -> dict[str, list[tuple[bytes, bytes]]]:
    """The entries of its maps of interfaces, by the indices that they have on this machine. Raises CannotRun."""
    entries: dict[str, list[tuple[bytes, bytes]]] = {}
    for name, exits in compiled.exits.items():
        for number, interface in enumerate(map(str, exits)):
            state = interface_state(interface)
            if state is None:
                hint = "`--fill` looks interfaces up where it runs: run it on the machine that loads the object"
                raise CannotRun(f"there is no interface {interface} here", hint=hint)
            entries.setdefault(name, []).append((entry(number), entry(state.index)))
    return entries
