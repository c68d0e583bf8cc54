"""Maps that more than one file of tests works on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.maps import MapOfMaps, open_map
from tests.appliance.maps.nested.nested import HASH, TYPES, outer_of


@pytest.fixture(params=TYPES, ids=lambda type_: type_.value)
def outer(request: pytest.FixtureRequest) -> Iterator[MapOfMaps]:
    with open_map(outer_of(HASH, request.param)) as opened:
        assert isinstance(opened, MapOfMaps)
        yield opened
