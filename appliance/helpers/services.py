"""Runtime services: what programs are given beside the frame and the maps, the ways out of the machine and secrets.

They belong to whoever runs programs, outlive the code, and are handed over explicitly: nothing here is ambient.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.helpers.routing.tables import RoutingTables
from appliance.helpers.syncookie_secrets import SyncookieSecrets
from hooks.contracts.xdp import FrameContext

REPRODUCIBLE = b"tidegate"  # the seed of secrets where two runs must answer the same


@dataclass(frozen=True, slots=True)
class RuntimeServices:
    """Without routing tables nothing is forwarded; without secrets there are no cookies."""

    routing: RoutingTables | None = None
    cookies: SyncookieSecrets | None = None

    def put_into(self, context: FrameContext) -> None:
        """Let programs that run on `context` find them. They must be kept for as long as such programs run."""
        context.routing = self.routing.address if self.routing is not None else 0
        context.cookies = self.cookies.address if self.cookies is not None else 0

    @classmethod
    def reproducible(cls, routing: RoutingTables | None = None) -> RuntimeServices:
        """For replays and test runs."""
        return cls(routing, SyncookieSecrets(REPRODUCIBLE))
