"""Two provers of two zygotes answer with the same bits: signatures are of bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.box.proving.prover import Prover
from tests.appliance.box.proving.requests import of_program, of_rules
from tests.appliance.box.proving.test_prover import untimed

PROGRAMS = ("xdp_firewall", "xdp_tenants", "xdp_router")


def test_whatever_the_order_of_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requests = [*map(of_program, PROGRAMS), of_rules(tmp_path)]
    answers = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        with Prover() as prover:
            answers.append([untimed(prover.build(request)) for request in requests])
    assert answers[0] == answers[1]
