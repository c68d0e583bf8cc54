"""SYN cookies in a rule set's programs: programs/stages/syn_proxy.c, its maps and numbers, and the call of the action.

    parse ── allowlist ── syn_proxy_flows ── rules ── action syn-proxy ── syn_proxy_answer ── TX, or the next rule
                               │                                               │
                               └── flows, known ───────── nothing kept ────────┘

The stage itself is one like every other, and first of them (document.syn_proxy.stage).
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ir import I32, I64, PTR, U32, Code, Pointer
from appliance.rules.code.bpf_module import BpfModule, MapShape
from appliance.rules.model import Rule, SynProxy

ANSWER = "syn_proxy_answer"
FLOW_KEY, FLOW, HOST = 40, 48, 16  # bytes: struct syn_flow_key, syn_flow, address
STAMPS, RESETS = 1 << 16, 1 << 17  # SETTING_*, above 16 bits of the segment size
OPENING = 64.0  # seconds: Linux gives up a SYN after no more than that many probes of its own

# The maps that a reload hands over: name → what it is to the operator.
STATE_MAPS = {"syn_flows": "syn-proxy.flows", "syn_known": "syn-proxy.sources"}
_SIGNATURE = ir.FunctionType(I32, [PTR, PTR, I64])


class Cookies:
    """Writes the action. For one thread."""

    def __init__(self, module: BpfModule, proxy: SynProxy) -> None:
        self._module = module
        module.declare_map("syn_flows", MapShape(MapType.LRU_HASH, FLOW_KEY, FLOW, proxy.flows))
        module.declare_map("syn_known", MapShape(MapType.LRU_HASH, HOST, 8, proxy.sources))
        times = (proxy.idle, proxy.closing, OPENING, proxy.remember)
        numbers = (*(round(seconds * 10**9) for seconds in times), proxy.window_scale)
        module.constant("syn_proxy_config", [(I64, number) for number in numbers])

    def answer(self, code: Code, record: Pointer, rule: Rule) -> U32:
        """What becomes of the frame; NEXT if the action isn't for it."""
        cookies = rule.syn_cookies
        assert cookies is not None, "a rule with that action says how"
        settings = cookies.mss | STAMPS * cookies.timestamps | RESETS * cookies.resets
        function = self._module.external(ANSWER, _SIGNATURE)
        verdict: U32 = code.builder.call(function, [code["context"], record, ir.Constant(I64, settings)])
        return verdict
