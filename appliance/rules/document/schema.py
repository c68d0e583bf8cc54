"""The shape of a rule set document: which keys there are, of which type. Meaning is checked in `load`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticKnownError

from appliance.rules.sets.elements import MOST_KEYS, MOST_TYPES
from appliance.rules.tunnels import MOST_DEPTH, Tunnel


def _whole(value: Any) -> Any:
    """Refuse what Python takes for 1 but isn't: true, and 1.0."""
    if type(value) is not int:
        raise PydanticKnownError("literal_error", {"expected": "1"})
    return value


Version = Annotated[Literal[1], BeforeValidator(_whole)]
Way = Literal["in", "out", "both"]
ModeWord = Literal["enforce", "monitor"]
Seconds = Annotated[float, Field(gt=0, le=86400 * 365, allow_inf_nan=False)]
Capacity = Annotated[int, Field(ge=1, le=1 << 22)]
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}\z")]
SetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\z")]


_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)(?:/([smhd]))?")
_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _amount(value: Any) -> Any:
    """`10k`, `1.5M`, `20/m` as a number per second; what isn't written so is left as it is."""
    if not isinstance(value, str):
        return value
    found = _AMOUNT.fullmatch(value.strip())
    if not found:
        raise PydanticCustomError("rate", "{value} isn't a rate", {"value": repr(value)})
    return float(found[1]) * _FACTORS[found[2]] / _SECONDS[found[3]]


Amount = Annotated[
    float,
    BeforeValidator(_amount),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_AMOUNT.pattern}$"}]}),
]

_TIME = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")
LONGEST = 86400.0 * 365  # seconds


def _time(value: Any) -> Any:
    """`30s`, `2h4m` in seconds; what isn't written so is left as it is."""
    if not isinstance(value, str):
        return value
    if not _TIME.fullmatch(value.strip()):
        raise PydanticCustomError("time", "{value} isn't a time", {"value": repr(value)})
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))


_TIME_SCHEMA = WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_TIME.pattern}$"}]})
Duration = Annotated[float, BeforeValidator(_time), Field(gt=0, le=LONGEST, allow_inf_nan=False), _TIME_SCHEMA]
Pause = Annotated[float, BeforeValidator(_time), Field(ge=0, le=LONGEST, allow_inf_nan=False), _TIME_SCHEMA]

TunnelWord = Literal["ip", "gre", "vxlan", "geneve", "gtp", "mpls", "pppoe"]
TypeWord = Literal["prefix", "port", "mac", "number"]
SetTypes = Annotated[
    list[TypeWord],
    Field(min_length=1, max_length=MOST_TYPES),
    BeforeValidator(lambda given: given if isinstance(given, list) else [given], TypeWord | list[TypeWord]),
]
SystemNumber = Annotated[int, Field(ge=1, le=(1 << 32) - 1)]
SetSize = Annotated[int, Field(ge=1, le=MOST_KEYS)]


class Entry(BaseModel):
    """Every mapping of a document: unknown keys are refused, and nothing is converted on the quiet."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DefaultsEntry(Entry):
    """`defaults:`"""

    policy: Literal["pass", "drop"] = Field("pass", description="what becomes of a frame that no rule decides")
    mode: ModeWord = Field("enforce", description="mode of rules that name none, of the policy and of malformed")
    malformed: Literal["pass", "drop"] = Field("drop", description="what becomes of a malformed frame")
    direction: Way = Field("both", description="direction of rules that name none, and of policy and malformed")


class TunnelsEntry(Entry):
    """`tunnels:`"""

    depth: Annotated[int, Field(ge=0, le=MOST_DEPTH)] = Field(
        1, description="how many wrappings are looked into, one inside of the other; 0: none"
    )
    kinds: list[TunnelWord] = Field(
        default_factory=lambda: [kind.value for kind in Tunnel], description="which; if absent, all of them"
    )


class SetEntry(Entry):
    """One entry of `sets:`"""

    type: SetTypes = Field(description="what its elements are; a list of types: a combination of one value of each")
    elements: list[Any] | None = None
    file: str | None = Field(None, description="a list as it is published: one element per line, ipset save and others")
    maxmind: str | None = Field(None, description="a database of MaxMind's format: its `country` or its `asn`")
    country: Annotated[list[str], Field(min_length=1)] | None = Field(None, description="codes of ISO 3166-1")
    asn: Annotated[list[SystemNumber], Field(min_length=1)] | None = Field(None, description="numbers of systems")
    constant: bool | None = Field(None, description="whether its elements become code; if absent, those given here do")
    size: SetSize | None = Field(None, description="room for so many keys; if absent, for twice those it begins with")


def _listed(value: Any) -> Any:
    """A single text as a list of one; what is neither is told as if a text were wanted."""
    if not isinstance(value, list | str):
        raise PydanticKnownError("string_type")
    return [value] if isinstance(value, str) else value


_PER = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Per = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1), WithJsonSchema(_PER)]


class RateEntry(Entry):
    """`rate:` of a rule"""

    pps: Annotated[Amount, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = Field(
        None, description="packets per second, such as 200, 10k or 20/m"
    )
    bps: Annotated[Amount, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = Field(
        None, description="bits per second, such as 8000, 100M or 1G"
    )
    burst: Annotated[int, Field(ge=1, le=1 << 32)] | None = Field(None, description="packets for pps, bytes for bps")
    per: Per | None = Field(None, description="fields that frames of one bucket have in common, such as ip.src")
    sources: Capacity | None = None
    until: Annotated[Amount, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = Field(
        None, description="the slower rate, in the same unit, below which a bucket that was exceeded is within again"
    )
    hold: Pause | None = Field(None, description="for how long frames must come more slowly than `until`, such as 10s")
    block_for: Duration | None = Field(None, description="for how long who exceeds it is blocked, such as 10m")


class ChallengeEntry(Entry):
    """`challenge:` of a rule"""

    stage: RuleId = Field(description="the id of a stage that stands `at: in-rules`")


class RetransmitEntry(Entry):
    """`retransmit:` of a rule"""

    after: Seconds = 0.5
    before: Seconds = 8.0
    remember: Seconds = 600.0
    sources: Capacity = 65536
    tries: Capacity = 262144


class BlockEntry(Entry):
    """`block:` of a rule"""

    seconds: Duration = Field(600.0, alias="for", description="for how long, such as 90s, 10m, 12h or 7d")
    by: Per = Field(default=["ip.src"], description="what frames of who is blocked have in common, such as ip.src/24")
    sources: Capacity = 65536


class SynProxyRuleEntry(Entry):
    """`syn_proxy:` of a rule"""

    mode: Literal["proxy", "reset"] = Field("proxy", description="answer for the server, or make clients come again")
    mss: Annotated[int, Field(ge=536, le=8960)] = Field(1460, description="bytes: the server's, over IPv4")
    timestamps: bool = Field(True, description="whether the server has time stamps; without, no SACK and no scale")


class SynProxyEntry(Entry):
    """`syn_proxy:` of a document: what all rules with that action share"""

    flows: Capacity = Field(65536, description="connections that are translated at once")
    sources: Capacity = Field(65536, description="clients that are known at once, in mode reset")
    remember: Duration = Field(600.0, description="how long a client is known, in mode reset")
    idle: Duration = Field(7440.0, description="how long a connection without a segment is kept")
    closing: Duration = Field(120.0, description="the same of one that was closed or reset")
    window_scale: Annotated[int, Field(ge=0, le=14)] = Field(
        10, description="what clients shift the server's windows by"
    )


class RejectEntry(Entry):
    """`reject:` of a rule"""

    by: Literal["tcp-reset", "icmp-port", "icmp-admin"] | None = Field(
        None, alias="with", description="the answer; if absent, a reset for TCP and `icmp-port` for all else"
    )
    pps: Annotated[Amount, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        100.0, description="how many answers there are in a second; what is beyond is dropped without one"
    )


class TargetEntry(Entry):
    """`redirect:` and `mirror:` of a rule"""

    to: Annotated[str, Field(pattern=r"^[^\s/]{1,15}$")] = Field(description="an interface that the box serves")


class MarkEntry(Entry):
    """`mark:` of a rule"""

    dscp: int | str = Field(description="the codepoint, as a number or by its name, such as af11, ef or cs1")


ACTION_ENTRIES = (BlockEntry, RejectEntry, TargetEntry, MarkEntry, ChallengeEntry, SynProxyRuleEntry)


class RuleEntry(Entry):
    """One entry of `rules:`"""

    id: RuleId
    action: Literal["pass", "drop", "block", "reject", "redirect", "mirror", "mark", "count", "syn-proxy", "challenge"]
    block: BlockEntry | None = None
    reject: RejectEntry | None = None
    redirect: TargetEntry | None = None
    mirror: TargetEntry | None = None
    mark: MarkEntry | None = None
    match: dict[str, Any] | None = None
    rate: RateEntry | None = None
    retransmit: RetransmitEntry | None = None
    syn_proxy: SynProxyRuleEntry | None = Field(None, description="how the action syn-proxy answers")
    challenge: ChallengeEntry | None = Field(None, description="whom the action challenge asks")
    mode: ModeWord | None = None
    direction: Way | None = None
    description: str = ""


class StageEntry(Entry):
    """One entry of `stages:`"""

    id: RuleId
    object: str = Field(description="a file of LLVM bitcode, by its path from this document")
    program: str = Field(description="the function in it")
    at: Literal["before-rules", "in-rules", "after-rules"] = Field("before-rules", description="where it stands")
    constants: dict[str, Annotated[int, Field(ge=0, lt=1 << 64)]] = Field(
        default_factory=dict, description="the numbers that it declares as `extern const`"
    )
    mode: ModeWord | None = None
    direction: Way | None = None


class TcpTimesEntry(Entry):
    """`tcp:` of `connections:`"""

    opening: Duration = Field(60.0, description="from a SYN until the handshake is done")
    established: Duration = Field(7440.0, description="of a connection without a segment; RFC 5382 wants 2h4m at least")
    closing: Duration = Field(240.0, description="from one side's FIN until the other's")
    closed: Duration = Field(120.0, description="for what is sent again behind both FINs")


class ConnectionsEntry(Entry):
    """`connections:`"""

    entries: Capacity = Field(262144, description="flows that are kept: answered ones of those that the inside began")
    openings: Capacity = Field(131072, description="flows that have only begun; the oldest make room")
    tcp: TcpTimesEntry = Field(default_factory=lambda: TcpTimesEntry.model_validate({}))
    udp: Duration = Field(120.0, description="of a flow without a datagram; RFC 4787 wants 2m at least")
    icmp: Duration = Field(60.0, description="from a request until its reply; RFC 5508 wants 60s at least")
    other: Duration = Field(600.0, description="of a flow of any other protocol")
    grace: Pause = Field(30.0, description="how long a box that has just started learns flows that it doesn't know")
    asymmetric: bool = Field(False, description="whether the line carries one direction only")


class RuleSetEntry(Entry):
    """A rule set: alone in its document, a part of a box's, or included in another one."""

    version: Version = 1
    include: list[str] = []
    defaults: DefaultsEntry = Field(default_factory=lambda: DefaultsEntry.model_validate({}))
    tunnels: TunnelsEntry | None = Field(None, description="packets in packets; if absent, none is looked into")
    sets: dict[SetName, SetEntry] = {}
    allowlist: list[Any] = []
    rules: list[RuleEntry] = []
    stages: list[StageEntry] = []
    connections: ConnectionsEntry | None = Field(None, description="track connections, for `ct.state`; off if absent")
    syn_proxy: SynProxyEntry | None = Field(None, description="what all rules with the action syn-proxy share")


RULE_SET_KEYS = frozenset(RuleSetEntry.model_fields)
