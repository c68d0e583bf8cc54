"""The one table of what a rule about sockets can match on: a field costs one row.

A row says the name, the kind of value, where a program finds it, and in which calls it is there. `op`, `exe` and
`cgroup` are words, and no numbers that a program could compare (`words`).
"""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from functools import cache

from appliance.rules.document.fields import FieldReader
from appliance.rules.errors import did_you_mean
from appliance.rules.layers import Layer
from appliance.rules.matchers import Matcher
from appliance.rules.sockets.model import EVERY_OP, FactKind, Op
from appliance.rules.values import PORT, PREFIX, PROTOCOL, BadValue, Kind, NumberKind

OP = "op"
NAMING_AN_END = frozenset({Op.CONNECT, Op.SENDMSG})


def _row(name: str, kind: Kind, doc: str) -> Matcher:
    """`fields` is what the program calls the number, or the side whose address it is."""
    fields = {"ip.src": ("source",), "ip.dst": ("destination",)}.get(name, (name,))
    return Matcher(name, Layer.FRAME, kind, fields, doc)


@cache
def users() -> NumberKind:
    """Users by number, or by the names that this machine has for them."""
    return NumberKind(
        "name or number of a user",
        (1 << 32) - 1,
        names={entry.pw_name.lower(): entry.pw_uid for entry in pwd.getpwall()},
    )


@cache
def matchers() -> Mapping[str, Matcher]:
    """The table, by name."""
    rows = (
        _row("port", PORT, "the port that is bound, or that is connected or sent to"),
        _row("ip.src", PREFIX, "the address that is bound"),
        _row("ip.dst", PREFIX, "the address that is connected or sent to"),
        _row("proto", PROTOCOL, "the socket's protocol, such as tcp or udp"),
        _row("user", users(), "the caller's user"),
    )
    return {row.name: row for row in rows}


# In which calls a field is there; those that aren't listed are in all of them.
OPS: Mapping[str, frozenset[Op]] = {"ip.src": frozenset({Op.BIND}), "ip.dst": NAMING_AN_END}

WORDS: Mapping[str, str] = {
    OP: f"the call: {', '.join(op.value for op in Op)}; if absent, each that has the other fields",
    FactKind.EXE.value: "the file that the caller runs, by its path",
    FactKind.CGROUP.value: "the caller's cgroup of version 2: that path, or one below",
}


def ops_of(name: str) -> frozenset[Op]:
    """The calls in which the field is there."""
    return OPS.get(name, EVERY_OP)


class SocketFields(FieldReader):
    """Finds fields by name, as conditions of frames find theirs. Any thread."""

    def __init__(self) -> None:
        super().__init__(tunnels=None)

    def find(self, name: str) -> Matcher:
        """Raises BadValue if there is none."""
        found = matchers().get(name)
        if found is None:
            raise BadValue(f"a rule about sockets has no field {name!r}", did_you_mean(name, [*matchers(), *WORDS]))
        return found
