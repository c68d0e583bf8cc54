"""Rules that block, on frames that anybody can send in anybody's name: the forger chooses who is blocked.

What needs no answer can be forged: datagrams, ICMP, a SYN. A TCP segment with ACK is taken for part of a connection,
which it is where the rule asks for `ct.state` too.
"""

from __future__ import annotations

from appliance.rules.analysis.findings import Finding, FindingKind
from appliance.rules.conditions import Condition, HasBits, InRanges
from appliance.rules.model import RuleSet
from appliance.rules.names import CT_STATES, TCP_FLAGS

_ACK = TCP_FLAGS["ack"]
_ESTABLISHED = ((CT_STATES["established"], CT_STATES["established"]),)
_REASON = (
    "it blocks by frames that need no handshake, so whoever forges them chooses who is blocked; "
    "put those who must not be lost on the allowlist"
)


def find_forgeable(rules: RuleSet) -> tuple[Finding, ...]:
    """Every rule that may block whom somebody else names."""
    return tuple(
        Finding(FindingKind.FORGEABLE, rule, (), _REASON)
        for rule in rules.rules
        if rule.block and not any(map(_asks_for_a_connection, rule.conditions))
    )


def _asks_for_a_connection(condition: Condition) -> bool:
    if isinstance(condition, InRanges) and condition.matcher.name == "ct.state":
        return condition.ranges == _ESTABLISHED
    if not isinstance(condition, HasBits) or condition.matcher.name != "tcp.flags":
        return False
    return any(test.mask & test.wanted & _ACK and not test.negated for test in condition.tests)
