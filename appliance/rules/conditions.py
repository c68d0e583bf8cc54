"""What a rule asks of a frame: conditions over the fields of matchers, all of which must hold."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.rules.layers import AnyLayer
from appliance.rules.matchers import Matcher
from appliance.rules.ranges import Ranges
from appliance.rules.values import Addresses


@dataclass(frozen=True, slots=True)
class InRanges:
    """One of the matcher's fields lies in the ranges."""

    matcher: Matcher
    ranges: Ranges


@dataclass(frozen=True, slots=True)
class NoneInRanges:
    """Of a matcher with several fields, such as a port of either side: none of them lies in the ranges."""

    matcher: Matcher
    ranges: Ranges


@dataclass(frozen=True, slots=True)
class InAddresses:
    """The matcher's address lies in the ranges of its family."""

    matcher: Matcher
    addresses: Addresses


@dataclass(frozen=True, slots=True)
class BitTest:
    """`value & mask == wanted`, or the opposite when `negated`."""

    mask: int
    wanted: int
    negated: bool = False

    def holds(self, value: int) -> bool:
        """Whether a field of that value passes the test."""
        return (value & self.mask == self.wanted) is not self.negated


@dataclass(frozen=True, slots=True)
class HasBits:
    """Every test holds for the matcher's field."""

    matcher: Matcher
    tests: tuple[BitTest, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """Among the constants (addresses, where the field is one), or an element of one of the sets of these names."""

    constants: Ranges | Addresses
    sets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InSets:
    """One of the matcher's fields has every one of the memberships; `negated`: none of them has any."""

    matcher: Matcher
    memberships: tuple[Membership, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InCombinations:
    """The matchers' fields together are an element of one of the sets of these names; `negated`: of none."""

    matchers: tuple[Matcher, ...]
    sets: tuple[str, ...]
    negated: bool = False


Condition = InRanges | NoneInRanges | InAddresses | HasBits | InSets | InCombinations


def matched(condition: Condition) -> tuple[Matcher, ...]:
    """Every matcher that the condition asks."""
    return condition.matchers if isinstance(condition, InCombinations) else (condition.matcher,)


def layers(condition: Condition) -> frozenset[AnyLayer]:
    """What a frame must have for the condition to hold."""
    return frozenset(matcher.layer for matcher in matched(condition))
