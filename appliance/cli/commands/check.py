"""`tidegate check (CONFIG|RULES)`: what `run` does before it touches the machine, and unreached rules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from appliance.box.approval.configured import read_trusted
from appliance.box.config import BoxConfig, load_box_config
from appliance.box.filter_files import is_box
from appliance.box.filter_spec import FilterSpec
from appliance.box.generation import Generation
from appliance.cli.explanation import explain
from appliance.cli.inside import inside_option, read_networks
from appliance.cli.output import counted, json_option, print_json, warn
from appliance.errors import InputRefused
from appliance.guard.rules import open_rules
from appliance.rules import RuleSet, compile_rule_set, load_rule_set
from appliance.rules.analysis import Analysis, Finding, find_blind, find_forgeable, find_unreached
from appliance.rules.model import Rule
from appliance.rules.sockets import compile_guard_rules, is_guard, load_guard_rules

EXAMPLES = """Examples:

\b
  tidegate check box.yaml
  tidegate check guard.yaml
  tidegate check rules.yaml --json | jq '.warnings[].reason'
  tidegate check rules.yaml --explain line.pcap --frame 17 --inside 192.0.2.0/24
  tidegate check rules.yaml --explain "020000000002 020000000001 0800 45000028 …"
"""


@click.command(epilog=EXAMPLES)
@click.argument("path", metavar="(CONFIG|RULES)", type=click.Path(path_type=Path))
@click.option(
    "--explain",
    "explained",
    metavar="FRAME-HEX|PCAP",
    help="Say of a frame, or of each of a capture, which rule decides it, and why each one before it doesn't.",
)
@click.option("--frame", "numbers", type=int, multiple=True, help="With --explain: only this frame, from 1 on.")
@inside_option
@json_option
def command(
    path: Path, explained: str | None, numbers: tuple[int, ...], inside: tuple[str, ...], as_json: bool
) -> None:
    """Validate, compile and verify a box's configuration, a rule set alone, or a guard's rules; change nothing.

    Rules that can't decide a frame are told as warnings: those that earlier rules shadow, make redundant or keep every
    frame from, those whose conditions contradict each other, and those that ask for the number of what is opened.
    """
    if is_guard(path):
        if explained is not None or numbers or inside:
            raise click.UsageError("--explain is about frames, and a guard judges calls")
        _check_guard(path, as_json=as_json)
        return
    config = load_box_config(path) if is_box(path) else None
    rules = config.rules if config else load_rule_set(path)
    if (numbers or inside) and explained is None:
        raise click.UsageError("--frame and --inside belong to --explain")
    if explained is not None:
        if rules is None:
            raise InputRefused("its program is an object's, and has no rules to explain", where=str(path))
        explain(rules, explained, read_networks(inside), numbers, as_json=as_json)
        return
    analysis = find_unreached(rules) if rules else None
    findings = (*analysis.findings, *find_forgeable(rules), *find_blind(rules)) if analysis and rules else ()
    found = _load(path, config, rules)
    if as_json:
        print_json(found | _warnings(analysis, findings))
        return
    print(f"{path}: good. {'; '.join(found['passages']) or 'A rule set alone: a box needs `interfaces:` beside it.'}")
    number = f"{counted(found['rules'], 'rule')}, " if rules else ""
    verified, compiled = (round(1000 * found[f"{done}_seconds"]) for done in ("verify", "compile"))
    print(f"  {number}{found['instructions']} instructions; verified in {verified} ms, compiled in {compiled} ms")
    for finding in findings:
        warn(str(finding))
    if analysis and not analysis.is_complete:
        warn(
            f"{path}: only the first {analysis.examined} of {analysis.rules} rules were compared with those before them"
        )


def _check_guard(path: Path, *, as_json: bool) -> None:
    """A guard's rules, compiled and verified."""
    compiled = compile_guard_rules(load_guard_rules(path))
    with open_rules(compiled).load() as loaded:
        collection = loaded.open_collection()
        found: dict[str, Any] = {
            "file": str(path),
            "programs": [program.section for program in compiled.programs],
            "rules": compiled.rule_count,
            "instructions": sum(len(program.spec.instructions) for program in collection.programs.values()),
            "verify_seconds": collection.verify_seconds,
            "compile_seconds": collection.compile_seconds,
        }
    if as_json:
        print_json(found)
        return
    verified, took = (round(1000 * found[f"{done}_seconds"]) for done in ("verify", "compile"))
    print(f"{path}: good. {', '.join(found['programs'])}")
    number = counted(found["rules"], "rule")
    print(f"  {number}, {found['instructions']} instructions; verified in {verified} ms, compiled in {took} ms")


def _load(path: Path, config: BoxConfig | None, rules: RuleSet | None) -> dict[str, Any]:
    """What verifying and compiling found."""
    if config is not None:
        read_trusted(config.trust)
        filter_spec = FilterSpec.of(config)
    else:
        assert rules is not None
        filter_spec = FilterSpec.of_rules(compile_rule_set(rules), str(path))
    generation = Generation.load(filter_spec, config.workers if config else 1)
    try:
        collection = generation.collection
        return {
            "file": str(path),
            "passages": [str(passage) for passage in config.passages] if config else [],
            "rules": len(rules.rules) if rules else 0,
            "instructions": sum(len(program.spec.instructions) for program in collection.programs.values()),
            "verify_seconds": collection.verify_seconds,
            "compile_seconds": collection.compile_seconds,
        }
    finally:
        generation.close()


def _warnings(analysis: Analysis | None, findings: Iterable[Finding]) -> dict[str, Any]:
    return {
        "warnings": [_finding(finding) for finding in findings],
        "compared": analysis.examined if analysis else 0,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        **_rule(finding.rule),
        "by": [_rule(rule) for rule in finding.by],
        "reason": finding.reason,
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {"rule": rule.id, "file": rule.where.file, "line": rule.where.line, "column": rule.where.column}
