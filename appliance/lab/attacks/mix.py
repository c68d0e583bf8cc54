"""In which shares the attacks come: what the user says, and the frames dealt out by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.errors import CannotRun
from appliance.lab.attacks.names import ATTACK_NAMES, KINDS, USUAL, VLAN

Mix = Mapping[str, float]  # attack -> its share of the frames; they need not sum up to anything

USUAL_MIX: Mix = dict.fromkeys((*USUAL, *(f"{name}{VLAN}" for name in USUAL)), 1.0)


def read_mix(words: Sequence[str]) -> Mix:
    """The shares that `KIND=SHARE` or `KIND` say; without any, the usual mix. Raises CannotRun."""
    mix: dict[str, float] = {}
    for word in words:
        name, equals, share = word.partition("=")
        if name not in ATTACK_NAMES:
            known = ", ".join(KINDS)
            raise CannotRun(f"no attack is called {name!r}", hint=f"there are {known}; and each as KIND{VLAN}")
        try:
            mix[name] = float(share) if equals else 1.0
        except ValueError:
            mix[name] = 0.0
        if not 0 < mix[name] <= 1e6:
            raise CannotRun(f"{word}: a share is a number above 0", hint=f"for example {name}=3")
    return mix or USUAL_MIX


def deal(mix: Mix, count: int) -> list[str]:
    """The attacks of `count` frames in turn, each as often as its share says, at least once, and evenly spread.

    Whoever is furthest behind comes next (the highest-averages method of Sainte-Laguë).
    """
    dealt: list[str] = []
    given = dict.fromkeys(mix, 0)
    for _ in range(count):
        name = max(mix, key=lambda name: mix[name] / (2 * given[name] + 1))
        given[name] += 1
        dealt.append(name)
    missing = [name for name, times in given.items() if not times]
    return missing + dealt[: count - len(missing)] if missing else dealt
