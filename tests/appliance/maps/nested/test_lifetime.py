"""How long maps live that are, or were, in a map of maps."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from appliance.ebpf.map_types import MapType
from appliance.epochs import default_domain
from appliance.jit.collection import Collection
from appliance.maps import MapOfMaps, NoSuchEntry, open_map
from hooks.contracts.xdp import FrameContext
from tests.appliance.jit.support import run_loaded, run_loops
from tests.appliance.maps.nested.nested import HASH, collection, key, outer_of, word
from tests.appliance.maps.three_engines import told


def test_a_map_lives_on_in_the_map_that_holds_it(outer: MapOfMaps) -> None:
    with open_map(HASH) as map_:
        map_.update(key(1), word(2))
        outer[key(0)] = map_
    assert not map_.closed
    assert outer[key(0)].lookup(key(1)) == word(2)
    outer[key(0)].update(key(1), word(3))
    assert map_.lookup(key(1)) == word(3)
    outer.close()
    assert map_.closed


def test_what_was_taken_out_lives_until_its_readers_have_let_go(outer: MapOfMaps) -> None:
    with default_domain.reading("somebody who has found it"):
        with open_map(HASH) as first, open_map(HASH) as second:
            outer[key(0)] = first
            outer[key(1)] = first
            outer[key(0)] = second
            del outer[key(1)]
        assert not first.closed
    assert (first.closed, second.closed) == (True, False)
    outer.close()
    assert second.closed


def test_an_owner_that_comes_last(outer: MapOfMaps) -> None:
    with open_map(HASH) as map_:
        outer[key(0)] = map_
        outer.close()
        assert not map_.closed
        map_.update(key(1), word(2))
    assert map_.closed
    outer.close()


def test_a_closed_map_does_not_go_in(outer: MapOfMaps) -> None:
    map_ = open_map(HASH)
    map_.close()
    with pytest.raises(RuntimeError, match=r"^map 'm.inner' is closed$"):
        outer[key(0)] = map_
    assert len(outer) == 0


def test_what_did_not_go_in_is_not_held() -> None:
    with open_map(outer_of(HASH)) as outer, open_map(HASH) as map_:
        assert isinstance(outer, MapOfMaps)
        with pytest.raises(NoSuchEntry):
            outer[key(99)] = map_
        map_.close()
        assert map_.closed


def test_maps_of_a_collection_that_is_closed_live_on() -> None:
    """Their code goes with the collection: they get code of their own."""
    with open_map(outer_of(HASH)) as outer:
        assert isinstance(outer, MapOfMaps)
        with Collection.load(collection(HASH, MapType.ARRAY_OF_MAPS), loops=run_loops) as loaded:
            outer[key(0)] = loaded.maps["first"]
            run_loaded(loaded, "test", FrameContext())
            kept = dict(loaded.maps["first"].items())
        assert loaded.maps["second"].closed
        assert dict(outer[key(0)].items()) == kept == {key(2): word(80)}


def test_a_reload_keeps_what_is_in_it() -> None:
    spec = collection(HASH, MapType.HASH_OF_MAPS)
    with ExitStack() as opened:
        old = opened.enter_context(Collection.load(spec, loops=run_loops))
        outer = old.maps["m"]
        assert isinstance(outer, MapOfMaps)
        with open_map(replace(HASH, max_entries=100)) as mine:
            outer[key(1)] = mine
        new = opened.enter_context(Collection.load(spec, reuse=old.maps, loops=run_loops))
        old.close(keep=new.maps.values())
        run_loaded(new, "test", FrameContext())
        assert outer[key(1)] is mine
        assert told(mine.lookup(key(2))) == 80
        assert len(new.maps["first"]) == 0
    assert mine.closed


def test_reset_goes_back_to_the_declared_maps() -> None:
    with Collection.load(collection(HASH, MapType.ARRAY_OF_MAPS), loops=run_loops) as loaded:
        outer = loaded.maps["m"]
        assert isinstance(outer, MapOfMaps)
        with open_map(HASH) as mine:
            outer[key(1)] = outer[key(3)] = mine
        outer.reset()
        assert dict(outer.maps()) == {key(0): loaded.maps["second"], key(1): loaded.maps["first"]}
        assert mine.closed
