"""A guard's rules in plain Python: which one decides a call. The oracle of what is compiled."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.rules.conditions import InAddresses
from appliance.rules.sockets.families import MAPPED
from appliance.rules.sockets.model import (
    DEFAULT,
    UNKNOWN,
    Fact,
    GuardAction,
    GuardRule,
    GuardRules,
    HasFact,
    Op,
    SocketCondition,
)
from appliance.rules.values import V4_MAXIMUM


@dataclass(frozen=True, slots=True)
class SocketCall:
    """What rules see of a call. `version` is 4 or 6; `facts` are those that are true of the caller, None if nothing was
    said about it."""

    op: Op
    version: int
    address: int
    port: int
    proto: int = 6
    user: int = 0
    facts: frozenset[Fact] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Walked:
    """What becomes of the call: the id of what decides, and of all that count it, in order. `address` and `port` are
    where it goes, `errno` is what it ends with."""

    decided: str
    counted: tuple[str, ...]
    action: GuardAction
    address: int
    port: int
    errno: int = 0


def walk(rules: GuardRules, call: SocketCall) -> Walked:
    """One call, rule by rule."""
    met = [rule for rule in rules.rules if call.op in rule.ops]
    asks = any(isinstance(each, HasFact) for rule in met if _can_name(rule, call.version) for each in rule.conditions)
    if asks and call.facts is None:
        return Walked(UNKNOWN, (UNKNOWN,), GuardAction.DENY, call.address, call.port, errno=1)
    counted: list[str] = []
    for rule in met:
        if not all(_holds(each, call) for each in rule.conditions):
            continue
        counted.append(rule.id)
        if rule.decides:
            return _decided(rule, call, tuple(counted))
    denied = rules.default is GuardAction.DENY
    return Walked(DEFAULT, (*counted, DEFAULT), rules.default, call.address, call.port, int(denied))


def _decided(rule: GuardRule, call: SocketCall, counted: tuple[str, ...]) -> Walked:
    address, port = call.address, call.port
    if rule.action is GuardAction.REDIRECT:
        target = rule.targets[call.version]
        port = target.port if target.port is not None else port
        if target.address is not None:
            address = target.address | (MAPPED if target.family != call.version else 0)
    failed = rule.errno if rule.action is GuardAction.DENY else 0
    return Walked(rule.id, counted, rule.action, address, port, failed)


def _can_name(rule: GuardRule, version: int) -> bool:
    """Whether a call of that family can name one of the rule's addresses: one of IPv4 names those of IPv4 alone, and
    of IPv6 any, as there is no IPv6 rule without an address that is not mapped."""
    addresses = [each.addresses for each in rule.conditions if isinstance(each, InAddresses)]
    return version == 6 or all(each.v4 for each in addresses)


def _holds(condition: SocketCondition, call: SocketCall) -> bool:
    if isinstance(condition, HasFact):
        return bool(set(condition.facts) & (call.facts or frozenset())) is not condition.negated
    if isinstance(condition, InAddresses):
        is_mapped = call.version == 6 and call.address >> 32 == MAPPED >> 32
        as_v4 = call.version == 4 or is_mapped
        ranges = condition.addresses.v4 if as_v4 else condition.addresses.v6
        number = call.address & V4_MAXIMUM if as_v4 else call.address
    else:
        (name,) = condition.matcher.fields
        ranges, number = condition.ranges, getattr(call, name)
    return any(low <= number <= high for low, high in ranges)
