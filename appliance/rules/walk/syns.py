"""Which frames a SYN proxy answers, as programs/stages/syn_proxy.c decides it.

A walk has no cookies and no clients that have proved themselves: every SYN is of one that hasn't.
"""

from __future__ import annotations

from appliance.rules.model import Action
from appliance.rules.names import PROTOCOLS, TCP_FLAGS
from appliance.rules.walk.dissector import Dissected

_HANDSHAKE = sum(TCP_FLAGS[name] for name in ("syn", "ack", "rst", "fin"))


def is_syn(frame: Dissected) -> bool:
    """Whether the frame asks for a connection; every other one goes on to the next rule."""
    return frame["transport"] == PROTOCOLS["tcp"] and frame["tcp.flags"] & _HANDSHAKE == TCP_FLAGS["syn"]


def answer(frame: Dissected) -> Action:
    """What becomes of a SYN: one that came in fragments or through a tunnel can't be answered."""
    return Action.DROP if frame["fragment"] or frame["tunnel_depth"] else Action.TX
