"""Rule sets of any number of rules, as text: for what must not depend on how many there are."""

from __future__ import annotations


def five_fields(count: int, first: int = 0) -> str:
    """`count` rules of five fields, called r<first> and so on, each different from the others; what tests and
    benchmarks send (UDP, from other addresses) matches none."""
    return "rules:\n" + "".join(f"  - {_rule(number)}\n" for number in range(first, first + count))


def _rule(number: int) -> str:
    source = f"198.{18 + number % 2}.{number // 2 % 256}.0/{24 + number % 9}"
    target = f"203.0.{number * 7 % 256}.{number * 13 % 256}/32"
    ports = f"tcp.sport: {{gt: {1024 + number}}}, tcp.dport: {number % 50000 + 1}"
    return f"{{id: r{number}, match: {{ip.src: {source}, ip.dst: {target}, {ports}}}, action: drop}}"
