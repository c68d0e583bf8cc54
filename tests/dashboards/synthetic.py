"""A box that does not exist, with traffic that never stops, for whoever asks its metrics server."""

from __future__ import annotations

import time
from collections.abc import Callable

from appliance.datapath.statistics import CAPTURE_DROPS, TRANSMIT_ERRORS, Count, InterfaceStatistics
from appliance.metrics import MapUse, RuleCount, Snapshot, WorkerUse
from hooks.contracts.contract import Verdict


def snapshots() -> Callable[[], Snapshot]:
    """A function whose answers grow with time, every counter of them."""
    began = time.time()
    return lambda: snapshot(began, int(1000 * (time.time() - began)))


def snapshot(began: float, frames: int) -> Snapshot:
    """A box that has run since `began` and seen that many frames of each kind."""
    some = Count(frames, 64 * frames)
    interface = InterfaceStatistics(
        received=Count(len(Verdict) * frames, len(Verdict) * 64 * frames),
        verdicts=dict.fromkeys(Verdict, some),
        transmitted=some,
        capture_dropped=dict.fromkeys(CAPTURE_DROPS, frames),
        transmit_errors=dict.fromkeys(TRANSMIT_ERRORS, frames),
    )
    return Snapshot(
        version="0.1.0",
        rules=(
            RuleCount("syn-rate", "drop", "enforce", some),
            RuleCount("ntp", "drop", "monitor", some),
            RuleCount("policy", "pass", "enforce", some),
        ),
        interfaces={"eth0": interface, "eth1": interface},
        interfaces_up={"eth0": True, "eth1": True},
        interfaces_isolated={"eth0": True, "eth1": True},
        interfaces_closed_again={"eth0": 0, "eth1": frames},
        workers={"0": WorkerUse(True, time.time())},
        parse_errors={"vlan_nested": frames},
        approvals={"approved": 2, "unsigned": 0},
        remembered={"found": 1, "absent": 1, "refused": 0},
        maps=(MapUse("syn-rate.sources", 50, 100, 3),),
        verify_seconds={"tidegate_in": 0.02, "tidegate_out": 0.01},
        compile_seconds=0.3,
        reloads={"success": 1, "failure": 0},
        reload_timestamp=began,
    )
