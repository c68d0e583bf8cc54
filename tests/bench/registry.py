"""The benchmarks by name, in the order in which they run. Each is one file with `main(Bench) -> figures`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench import (
    bench_blocklist,
    bench_classifier,
    bench_compile,
    bench_connections,
    bench_defence,
    bench_filter,
    bench_forwarding,
    bench_guard,
    bench_halfway,
    bench_lab,
    bench_latency,
    bench_limit,
    bench_lookups,
    bench_maps,
    bench_memory,
    bench_native,
    bench_peers,
    bench_proving,
    bench_reload,
    bench_reloads,
    bench_start,
    bench_syn_proxy,
    bench_tcp,
    bench_verifier,
)
from tests.bench.figures import Benchmark

BENCHMARKS: Mapping[str, Benchmark] = {
    "forwarding": bench_forwarding.main,
    "latency": bench_latency.main,
    "tcp": bench_tcp.main,
    "filter": bench_filter.main,
    "connections": bench_connections.main,
    "start": bench_start.main,
    "reload": bench_reload.main,
    "memory": bench_memory.main,
    "reloads": bench_reloads.main,
    "proving": bench_proving.main,
    "maps": bench_maps.main,
    "blocklist": bench_blocklist.main,
    "classifier": bench_classifier.main,
    "syn_proxy": bench_syn_proxy.main,
    "lookups": bench_lookups.main,
    "compile": bench_compile.main,
    "native": bench_native.main,
    "peers": bench_peers.main,
    "guard": bench_guard.main,
    "lab": bench_lab.main,
    "defence": bench_defence.main,
    "limit": bench_limit.main,
    "halfway": bench_halfway.main,
    "verifier": bench_verifier.main,
}
