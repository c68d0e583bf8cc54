"""What is accepted of random programs about keys, values and locks runs without a fault: a part of the fuzzer."""

from __future__ import annotations

import pytest

from appliance.helpers.limits import MAX_LOOPS
from appliance.verifier.domains.values import Kind, Pointer
from appliance.verifier.exploration import callees
from tests.fuzz.fuzz_aliases import finds


def test_what_is_accepted_runs() -> None:
    accepted, found = finds(range(1000))
    assert found == []
    assert 500 < accepted < 900, "the generator writes good and bad programs"


@pytest.mark.parametrize(
    ("careless", "words"),
    [
        pytest.param({"value": 0}, "an unlock of a lock that is not held", id="values that can't be told apart"),
        pytest.param({"key": 0}, "of an element that the walk has left", id="keys that outlive their callback"),
    ],
)
def test_a_careless_proof_is_found(monkeypatch: pytest.MonkeyPatch, careless: dict[str, int], words: str) -> None:
    """What a callback gets loses the name that tells it from others, and the generator shows what that does."""
    careful = callees.CALLBACK_ARGUMENTS["for_each_map_elem"]

    def arguments(environment: object, state: object) -> object:
        make, most = careful(environment, state)  # type: ignore[arg-type]

        def unnamed() -> tuple[object, ...]:
            kinds = {"value": Kind.MAP_VALUE, "key": Kind.MAP_KEY}
            return tuple(
                held._replace(id=0) if type(held) is Pointer and held.kind in map(kinds.get, careless) else held
                for held in make()[:3]
            ) + tuple(make()[3:])

        return unnamed, min(most, MAX_LOOPS)

    monkeypatch.setitem(callees.CALLBACK_ARGUMENTS, "for_each_map_elem", arguments)
    _, found = finds(range(1000))
    assert found
    assert all(words in find for find in found)
