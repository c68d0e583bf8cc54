"""The routing tables as they are published: the order in which native readers see a change."""

from __future__ import annotations

import pytest

from appliance.helpers.routing import tables as module
from appliance.helpers.routing.layout import Copy, Tables
from appliance.helpers.routing.tables import RoutingTables
from hooks.routing.routes import NetworkLink, Routing

LINK = NetworkLink(7, "02:00:00:00:00:07")


def test_a_copy_is_written_between_what_begins_and_what_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both order what is written in between on every machine (tests/appliance/epochs/test_ordering.py)."""
    steps = []

    def step(name: str) -> None:
        original = getattr(module, name)

        def recorded(address: int, value: int) -> None:
            copy = Copy.from_address(held.copies[value & 1])
            steps.append((name, address - tables.address, value, copy.links_count, held.generation))
            original(address, value)

        monkeypatch.setattr(module, name, recorded)

    with RoutingTables() as tables:
        held = Tables.from_address(tables.address)
        step("begin_change")
        step("assign_pointer")
        tables.publish(Routing(links=(LINK,), routes=(), neighbours=()))
        assert steps == [
            ("begin_change", Tables.writing.offset, 1, 0, 0),
            ("assign_pointer", Tables.generation.offset, 1, 1, 0),
        ]
        assert (held.generation, held.writing) == (1, 1)
