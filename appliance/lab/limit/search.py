"""Bisection for the highest rate that is borne."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from appliance.lab.limit.report import Step

RANGE = 100  # the search goes down to this part of the highest rate
CLOSE = 1.04  # borne and not borne lie this near to each other: found
SLACK = 2.0  # a busy machine sends less than it is told, but not much less than this part of it


def search(measure: Callable[[float], Step], highest: float, most_steps: int) -> Iterator[Step]:
    """Measure rates up to `highest`, each chosen by the outcome of those before.

    First without an attack, then with as much as there is; if that isn't borne, the middle between what is and what
    isn't, in the geometric sense: rates differ by factors.
    """
    yield (calm := measure(0.0))
    if not calm.holds:
        return
    yield (top := measure(highest))
    if top.holds:
        return
    low, high = highest / RANGE, min(highest, SLACK * top.offered)
    for _ in range(most_steps - 2):
        if high <= low * CLOSE:
            return
        rate = (low * high) ** 0.5
        yield (step := measure(rate))
        if step.holds:
            low = rate
        else:
            high = rate
