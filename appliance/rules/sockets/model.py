"""Rules about sockets as readers, compiler and walk mean them."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from appliance.errors import SourceLine
from appliance.rules.conditions import InAddresses, InRanges
from appliance.rules.model import Mode

DEFAULT, UNKNOWN = "default", "caller-unknown"  # counters of every set: what no rule decided, and see layout.CALLERS
MOST_FACTS = 64  # bits of a number


class Op(Enum):
    """What a process does: the hooks cgroup/bind4, cgroup/bind6 and so on."""

    BIND = "bind"
    CONNECT = "connect"
    SENDMSG = "sendmsg"


EVERY_OP = frozenset(Op)


class GuardAction(Enum):
    """What a rule does with a call. `count` counts it, and goes on to the next rule."""

    PERMIT = "permit"
    DENY = "deny"
    REDIRECT = "redirect"
    COUNT = "count"


class FactKind(Enum):
    """What no helper of a program says of a caller; the engine does (layout.CALLERS)."""

    EXE = "exe"
    CGROUP = "cgroup"


@dataclass(frozen=True, slots=True)
class Fact:
    """That the caller runs that file; that it is in that cgroup, or in one below."""

    kind: FactKind
    path: str


@dataclass(frozen=True, slots=True)
class HasFact:
    """One of the facts is true of the caller; `negated`: none is."""

    facts: tuple[Fact, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call is sent. `address` is None where only the port changes, `port` where only the address does."""

    family: int | None
    address: int | None
    port: int | None


SocketCondition = InRanges | InAddresses | HasFact


@dataclass(frozen=True, slots=True)
class GuardRule:
    """One rule. `targets` are those of IPv4 and IPv6, by 4 and 6, of a redirection; `errno` is what a denied call ends
    with."""

    id: str
    index: int
    ops: frozenset[Op]
    conditions: tuple[SocketCondition, ...]
    action: GuardAction
    mode: Mode
    where: SourceLine
    errno: int = errno.EPERM
    targets: Mapping[int, Target] = field(default_factory=dict)
    description: str = ""

    @property
    def decides(self) -> bool:
        """Whether no later rule sees a call that this one matches."""
        return self.mode is Mode.ENFORCE and self.action is not GuardAction.COUNT


@dataclass(frozen=True, slots=True)
class GuardRules:
    """A document's `guard:`. `texts` are the files that places point to."""

    file: str
    default: GuardAction
    rules: tuple[GuardRule, ...]
    texts: Mapping[str, str]

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What the rules ask of callers, each once: its place is its bit."""
        has = (each for rule in self.rules for each in rule.conditions if isinstance(each, HasFact))
        return tuple(dict.fromkeys(fact for each in has for fact in each.facts))

    @property
    def ops(self) -> tuple[Op, ...]:
        """The calls that have to be judged."""
        if self.default is GuardAction.DENY:
            return tuple(Op)
        return tuple(op for op in Op if any(op in rule.ops for rule in self.rules))
