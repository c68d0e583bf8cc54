"""A task in the words of each of those who are asked, as their own users would write it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.bench.peers.tasks import Blocklist, FiveFields, RuleList, Task

BLOCKED = "blocked"  # the set, and the rule of a blocklist


def rule_set(task: Task, folder: Path) -> Path:
    """Tidegate's rule set, the list in a file beside it."""
    path = folder / f"{task.name.replace(' ', '-').replace(',', '')}.yaml"
    lines = ["version: 1"]
    if isinstance(task, Blocklist):
        path.with_suffix(".txt").write_text("".join(f"{prefix}\n" for prefix in task.prefixes))
        lines += [
            f"sets: {{{BLOCKED}: {{type: prefix, file: {path.with_suffix('.txt').name}}}}}",
            f'rules: [{{id: {BLOCKED}, match: {{ip.src: "@{BLOCKED}"}}, action: drop}}]',
        ]
    else:
        lines += ["rules:", *(_rule(number, rule) for number, rule in enumerate(task.rules))]
    path.write_text("\n".join(lines) + "\n")
    return path


def _rule(number: int, rule: FiveFields) -> str:
    match = {
        "ip.src": str(rule.source),
        "ip.dst": str(rule.destination),
        f"{rule.protocol}.sport": str(rule.sport),
        f"{rule.protocol}.dport": str(rule.dport),
    }
    conditions = ", ".join(f"{field}: {value}" for field, value in match.items())
    return f"  - {{id: r{number}, match: {{{conditions}}}, action: drop}}"


def nftables_set(task: Blocklist, interface: str, onward: str) -> Iterator[str]:
    """A set: of intervals, or of single addresses, which nftables then hashes."""
    flags = "" if task.single else "flags interval;"
    declared = f"set {BLOCKED} {{ type ipv4_addr; {flags} elements = {{"
    elements = ",\n".join(map(str, task.prefixes))
    return _table([f"{declared}\n{elements}\n}} }}"], [f"ip saddr @{BLOCKED} counter drop"], interface, onward)


def nftables_chain(task: RuleList, interface: str, onward: str) -> Iterator[str]:
    """One rule after the other."""
    rules = (
        f"ip saddr {rule.source} ip daddr {rule.destination} "
        f"{rule.protocol} sport {rule.sport} {rule.protocol} dport {rule.dport} counter drop"
        for rule in task.rules
    )
    return _table([], rules, interface, onward)


def nftables_map(task: RuleList, interface: str, onward: str) -> Iterator[str]:
    """A verdict map of concatenations with intervals: one lookup for all rules, as long as none overlaps another."""
    fields = ("ipv4_addr", "ipv4_addr", "inet_proto", "inet_service", "inet_service")
    declared = f"map {BLOCKED} {{ type {' . '.join(fields)} : verdict; flags interval; elements = {{"
    elements = ",\n".join(
        f"{rule.source} . {rule.destination} . {rule.protocol} . {rule.sport} . {rule.dport} : drop"
        for rule in task.rules
    )
    rule = f"ip saddr . ip daddr . ip protocol . th sport . th dport vmap @{BLOCKED}"
    return _table([f"{declared}\n{elements}\n}} }}"], [rule], interface, onward)


def _table(sets: Iterable[str], rules: Iterable[str], interface: str, onward: str) -> Iterator[str]:
    """A table at the interface's ingress; what no rule drops goes out by the interface `onward`."""
    yield "table netdev tidegate_bench {\n"
    yield from (f"{each}\n" for each in sets)
    yield "chain ingress {\n"
    yield f"type filter hook ingress device {json.dumps(interface)} priority filter; policy accept;\n"
    yield from (f"{rule}\n" for rule in rules)
    yield f"fwd to {json.dumps(onward)}\n}}\n}}\n"
