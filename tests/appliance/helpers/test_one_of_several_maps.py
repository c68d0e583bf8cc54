"""One call for several maps, as clang merges two calls into one: the maps that are used otherwise stay out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.ebpf.objects.objects import load_object
from appliance.jit.collection import Collection
from hooks.contracts.xdp import FrameContext
from tests.appliance.cli.conftest import Tidegate, tidegate  # noqa: F401  (a fixture)
from tests.appliance.ebpf.compiling import compile_c
from tests.appliance.jit.support import run_loaded, run_loops

# The hash beside them is of a type that nothing can be redirected by.
SOURCE = """
struct { MAP(BPF_MAP_TYPE_HASH); } seen SEC(".maps");
struct {
	__uint(type, %s);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 4);
} left SEC(".maps");
struct {
	__uint(type, %s);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 4);
} right SEC(".maps");

SEC("xdp") int two_maps(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 one = 1;
	void *map;

	bpf_map_update_elem(&seen, &key, &one, 0);
	map = ctx->rx_queue_index ? (void *)&left : (void *)&right;
	asm volatile("" : "+r"(map)); /* one call for both */
	return bpf_redirect_map(map, 1, XDP_PASS);
}
"""
PAIRS = {
    "two devmaps": ("BPF_MAP_TYPE_DEVMAP", "BPF_MAP_TYPE_DEVMAP"),
    "two xskmaps": ("BPF_MAP_TYPE_XSKMAP", "BPF_MAP_TYPE_XSKMAP"),
    "a devmap and a cpumap": ("BPF_MAP_TYPE_DEVMAP", "BPF_MAP_TYPE_CPUMAP"),
}
FRAME = "0200000000020200000000010800"
PASS, REDIRECT = 2, 4


@pytest.fixture(params=PAIRS)
def compiled(request: pytest.FixtureRequest) -> bytes:
    return compile_c(SOURCE % PAIRS[request.param])


def test_test_run_and_check_take_what_verify_accepts(
    tidegate: Tidegate,  # noqa: F811
    tmp_path: Path,
    compiled: bytes,
) -> None:
    path, config = tmp_path / "two_maps.o", tmp_path / "box.yaml"
    path.write_bytes(compiled)
    config.write_text("version: 1\ninterfaces: [{outside: eth0, mode: tap}]\nprogram: {object: two_maps.o}\n")
    assert tidegate("verify", path).status == 0
    said = tidegate("test-run", path, "--data", FRAME, "--json")
    assert (said.status, said.err) == (0, "")
    assert said.document["verdict"] == "pass", "no entry: the action that the flags name"
    said = tidegate("check", config)
    assert (said.status, said.err) == (0, "")


def test_each_path_redirects_by_its_own_map() -> None:
    spec = load_object(compile_c(SOURCE % PAIRS["two devmaps"]), "two_maps.o")
    one, seven = (number.to_bytes(4, "little") for number in (1, 7))
    with Collection.load(spec, loops=run_loops) as loaded:
        loaded.maps["right"].update(one, seven)
        right, left = FrameContext(), FrameContext(rx_queue_index=1)
        assert run_loaded(loaded, "two_maps", right) == REDIRECT
        assert right.redirect_ifindex == 7
        assert run_loaded(loaded, "two_maps", left) == PASS


ARRAYS_OF_PROGRAMS = """
struct { MAP(BPF_MAP_TYPE_HASH); } seen SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __type(key, __u32); __type(value, __u32); __uint(max_entries, 4); }
	one SEC(".maps"), other SEC(".maps");

SEC("xdp") int two_maps(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 value = 1;
	void *map;

	bpf_map_update_elem(&seen, &key, &value, 0);
	map = ctx->rx_queue_index ? (void *)&one : (void *)&other;
	asm volatile("" : "+r"(map));
	bpf_tail_call(ctx, map, 1);
	return XDP_PASS;
}
"""


def test_tail_calls_through_one_of_two_arrays() -> None:
    spec = load_object(compile_c(ARRAYS_OF_PROGRAMS), "two_arrays.o")
    with Collection.load(spec, loops=run_loops) as loaded:
        assert run_loaded(loaded, "two_maps", FrameContext()) == PASS
