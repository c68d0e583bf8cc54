"""What provers really make can be signed, carried in a file, checked, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.box.approval.approvals import Approvals, ProverLied
from appliance.box.approval.container import ApprovedFile
from appliance.box.approval.differences import of_specs
from appliance.box.approval.image_symbols import C_LIBRARY, undefined_symbols
from appliance.box.approval.keeping.client import KeeperClient
from appliance.box.approval.reasons import Reason
from appliance.box.approval.store import Store
from appliance.box.approval.trust import Trust, TrustedKey
from appliance.box.proving.build import build, specs_of
from appliance.box.proving.built import Built
from appliance.box.proving.request import BuildRequest
from tests.appliance.box.proving.requests import of_program, of_rules

REQUESTS: dict[str, Callable[[Path], BuildRequest]] = {
    "an object": lambda folder: of_program("xdp_firewall"),
    "another, for workers": lambda folder: of_program("xdp_sample", workers=4),
    "rules that call an object": of_rules,
}


@pytest.fixture(scope="module")
def keeper() -> Iterator[KeeperClient]:
    with KeeperClient.start(None) as client:
        yield client


@pytest.mark.parametrize("name", REQUESTS)
def test_it_holds_on_every_road(name: str, keeper: KeeperClient, tmp_path: Path) -> None:
    request = REQUESTS[name](tmp_path)
    said: list[str] = []
    trust = Trust([TrustedKey(keeper.public)], log=said.append)
    with Store(tmp_path / "store", said.append) as store:
        approvals = Approvals(trust, build, keeper=keeper, store=store)
        made, remembered = approvals.of_request(request), approvals.of_request(request)
        assert store.counts() == {"found": 1, "absent": 1, "refused": 0}
    assert made.built.images == remembered.built.images
    file = ApprovedFile(keeper.sign(request, made.built), request, made.built)
    carried = ApprovedFile.of_bytes(file.to_bytes(), "carried")
    assert approvals.of_file(carried, request.workers).built.images == made.built.images
    assert said == []


def lying(built: Built, **changed: Any) -> Built:
    return replace(built, programs=(replace(built.programs[0], **changed), *built.programs[1:]))


LIES: dict[str, tuple[Reason, Callable[[Built], Built]]] = {
    "other instructions": (Reason.BYTECODE, lambda built: lying(built, bytecode="a" * 64)),
    "the instructions of another of its programs": (
        Reason.BYTECODE,
        lambda built: lying(built, bytecode=built.programs[1].bytecode),
    ),
    "a larger map": (
        Reason.MAP,
        lambda built: replace(built, prototypes={**built.prototypes, "map.counters": "a" * 64}),
    ),
    "a map that isn't there": (
        Reason.MAP,
        lambda built: replace(built, prototypes={**built.prototypes, "map.more": "a" * 64}),
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_prover_is_not_believed_what_can_be_read_in_the_object(name: str, keeper: KeeperClient) -> None:
    reason, lie = LIES[name]
    request = of_program("xdp_firewall")
    spec, _ = specs_of(request)
    trust = Trust([TrustedKey(keeper.public)])
    with pytest.raises(ProverLied, match=reason.value):
        Approvals(trust, lambda asked: lie(build(asked)), keeper=keeper).of_request(request, spec)
    assert Approvals(trust, build, keeper=keeper).of_request(request, spec).fault is None


@pytest.mark.parametrize("name", REQUESTS)
def test_its_code_names_what_it_says_and_the_c_library(name: str, tmp_path: Path) -> None:
    for image in build(REQUESTS[name](tmp_path)).images:
        assert undefined_symbols(image.data) <= C_LIBRARY | set(image.symbols)


def test_who_makes_the_maps_compares_what_he_read_himself(keeper: KeeperClient) -> None:
    request = of_program("xdp_firewall")
    claim = keeper.sign(request, build(request)).statement().claim
    spec, _ = specs_of(request)
    assert list(of_specs(claim, spec)) == []
    name, declared = next(iter(spec.maps.items()))
    larger = replace(spec, maps={**spec.maps, name: replace(declared, max_entries=declared.max_entries + 1)})
    assert [fault.reason for fault in of_specs(claim, larger)] == [Reason.MAP]
    inward = spec.programs[request.inward]
    shorter = replace(inward, instructions=inward.instructions[:-1])
    other = replace(spec, programs={**spec.programs, request.inward: shorter})
    assert [fault.reason for fault in of_specs(claim, other)] == [Reason.BYTECODE]
    assert [fault.reason for fault in of_specs(claim, replace(spec, programs={}))] == [Reason.BYTECODE] * 2
