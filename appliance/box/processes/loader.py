"""Loading with others: a prover proves and compiles, the keeper signs, a process of the datapath checks and links.

FilterSpec ──request──> Approvals ──Approved──> maps in the arena ──> a process forked for this code ──> generation
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from appliance.box.approval.approvals import Approvals
from appliance.box.approval.trust import Approved
from appliance.box.filter_spec import FilterSpec
from appliance.box.processes.handed import Handed
from appliance.datapath.hosts.order import LinkOrder
from appliance.datapath.hosts.process import ProcessHost, start_code
from appliance.datapath.hosts.zygote import Zygote
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import CollectionSpec
from appliance.jit.loaded import LoadedCollection, LoadedProgram, open_maps
from appliance.jit.plan import symbol_of
from appliance.maps.control.map import Map

RINGS = frozenset({MapType.RINGBUF, MapType.PERF_EVENT_ARRAY})


class LoaderApart:
    """See Loader. One thread at a time."""

    def __init__(self, approvals: Approvals, zygote: Zygote) -> None:
        self._approvals = approvals
        self._zygote = zygote
        self._hosts: list[ProcessHost] = []
        self._past_seconds = 0.0  # of processors, of hosts that have ended

    def processor_seconds(self) -> float:
        """What the processes that judge frames have had of processors, since the first of them. Any thread."""
        return self._past_seconds + sum(host.processor_seconds for host in self._hosts)

    def _forget_ended(self) -> None:
        ended = [host for host in self._hosts if not host.alive]
        self._hosts = [host for host in self._hosts if host not in ended]
        self._past_seconds += sum(host.processor_seconds for host in ended)

    def load(
        self, filter_spec: FilterSpec, spec: CollectionSpec, workers: int, reuse: Mapping[str, Map]
    ) -> LoadedCollection:
        approved = self._approved(filter_spec, spec, workers)
        request, built = replace(filter_spec.asked, workers=workers), approved.built
        envelope = approved.approval.to_bytes() if approved.approval is not None else b""
        with ExitStack() as opened:
            maps = open_maps(opened, spec, workers, reuse, self._zygote.arena)
            order = LinkOrder(
                Handed(request, built, envelope).to_bytes(),
                {symbol_of(name): map_.address for name, map_ in maps.items()},
            )
            code = start_code(self._zygote, order, _wake_descriptors(maps.values()))
            opened.callback(code.close)
            self._forget_ended()
            self._hosts.append(code.host)
            programs = {
                each.name: LoadedProgram(
                    spec.programs[each.name],
                    frozenset(each.helpers),
                    frozenset(each.tail_call_maps),
                    each.body,
                    each.seconds,
                )
                for each in built.programs
            }
            loaded = LoadedCollection(
                programs, maps, code, verify_seconds=built.verify_seconds, compile_seconds=built.compile_seconds
            )
            if any(map_.spec.type is MapType.PROG_ARRAY for map_ in maps.values()):
                loaded.name_targets(workers, reuse)
            opened.pop_all()
        return loaded

    def _approved(self, filter_spec: FilterSpec, spec: CollectionSpec, workers: int) -> Approved:
        if filter_spec.approved is not None:
            asked = filter_spec.asked
            return self._approvals.of_file(filter_spec.approved, workers, asked.inward, asked.outward)
        return self._approvals.of_request(replace(filter_spec.asked, workers=workers), spec)


def _wake_descriptors(maps: Iterable[Map]) -> list[int]:
    return [map_.wake_descriptor() for map_ in maps if map_.spec.type in RINGS]
