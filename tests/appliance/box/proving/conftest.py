"""A zygote for all tests of this folder, and what provers are asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.box.proving.prover import Prover


@pytest.fixture(scope="session")
def prover() -> Iterator[Prover]:
    with Prover() as started:
        yield started
