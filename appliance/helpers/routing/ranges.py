"""Longest prefix matching as a search in a sorted list: nested prefixes become ranges that do not overlap.

    10.0.0.0/8    ├───────────────── A ─────────────────┤
    10.1.0.0/16            ├── B ──┤
    ranges        ├── A ───┼── B ──┼──────── A ─────────┤ nothing

Each route knows the next best one for the same addresses: another of its prefix with a higher metric, then those of the
prefix around it. A lookup that has more to ask than the address (which interface to leave by) goes along that chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prefix:
    """Addresses from `first` to `last`, as numbers, and the numbers of the routes to them, best first."""

    first: int
    last: int
    routes: tuple[int, ...]


def flatten(prefixes: Iterable[Prefix]) -> tuple[list[tuple[int, int]], dict[int, int]]:
    """The ranges, as (first address, route), 0 for no route, in order from address 0 on; and each route's next best."""
    starts: dict[int, int] = {0: 0}
    following: dict[int, int] = {}
    around: list[Prefix] = []
    for prefix in sorted(prefixes, key=lambda each: (each.first, -each.last)):
        while around and around[-1].last < prefix.first:
            _leave(around, starts)
        outer = around[-1].routes[0] if around else 0
        _chain(prefix.routes, outer, following)
        starts[prefix.first] = prefix.routes[0]
        around.append(prefix)
    while around:
        _leave(around, starts)
    return sorted(starts.items()), following


def _leave(around: list[Prefix], starts: dict[int, int]) -> None:
    """Behind the innermost prefix, the one around it goes on."""
    left = around.pop()
    starts[left.last + 1] = around[-1].routes[0] if around else 0


def _chain(routes: Sequence[int], outer: int, following: dict[int, int]) -> None:
    for route, after in zip(routes, (*routes[1:], outer), strict=True):
        following[route] = after
