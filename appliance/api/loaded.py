"""An object, loaded: programs that can be run and attached, maps that can be looked at and changed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from appliance.api.errors import ValueUnfit, WrongState
from appliance.api.link import Link
from appliance.api.names import Named
from appliance.api.test_run import TestRun, run_test
from appliance.api.typed_map import TypedMap, TypedQueue
from appliance.api.types import Types
from appliance.api.variables import LoadedVariables
from appliance.closeable import Closeable
from appliance.datapath.test_run import export_programs
from appliance.ebpf.spec import CollectionSpec, ProgramSpec
from appliance.ebpf.values import Codec, Codecs, TypedCodec
from appliance.epochs import default_domain
from appliance.helpers.routing.tables import RoutingTables
from appliance.jit.collection import Collection
from appliance.maps.control.map import Map
from appliance.maps.control.target import Target


class LoadedProgram:
    """One program, proved and compiled. Usable as long as its object is open, by any thread."""

    def __init__(self, owner: Loaded, spec: ProgramSpec) -> None:
        self._owner = owner
        self.spec = spec

    def test_run(
        self,
        data: bytes = b"",
        *,
        context: Mapping[str, int | bytes] | None = None,
        repeat: int = 1,
        routing: RoutingTables | None = None,
    ) -> TestRun:
        """Run it once, or `repeat` times in one native call; see TestRun.

        `data` is what the hook's context points to: for XDP a frame from its Ethernet header on, 14 to 262144 bytes,
        for BIND the path of the program that binds; other hooks have none. `context` gives scalar fields of the context
        such as `ingress_ifindex` or `user_port`, and what helpers of the hook answer, such as `socket_cookie`: numbers
        as the program reads them, or all bytes of the field. The others are what the hook says (the family), who is
        asking (this thread), or 0. `routing` is what `fib_lookup` and `check_mtu` ask; without it nothing is forwarded.

        Raises ValueUnfit, NoSuchName for a field, WrongState.
        """
        with default_domain.reading(f"a test run of `{self.spec.name}`"):
            return run_test(self._owner.open_collection().engine, self.spec, data, context or {}, repeat, routing)

    @property
    def target(self) -> Target:
        """What arrays of programs hold of it: `array[index] = program` asks for it. Raises WrongState."""
        return self._owner.open_collection().targets[self.spec.name]

    def attach(self, outside: str, inside: str | None = None, *, outward: str | None = None) -> Link:
        """Run it on every frame that an interface receives, until the link is detached.

        With `inside`, frames cross between the two interfaces, which belong to the link alone meanwhile: this program
        judges those that come from `outside`, the one called `outward` those from `inside` (None: they pass). Without,
        `outside` is listened to, and verdicts are counted and not enforced.

        An object has one link at a time. Raises WrongState, NoSuchName, ValueUnfit (the program judges no frames),
        HookError (no such interface, in use, no privilege); everything is then as it was.
        """
        return self._owner.attach(self.spec.name, outside, inside, outward)


class Loaded(Closeable):
    """Programs and maps that live. Made by `Object.load`; a context manager; closing twice is harmless. Any thread may
    use it and close it.

    It holds the maps that it borrows: they live on in here if their owners close them.
    """

    def __init__(self, spec: CollectionSpec, collection: Collection, borrowed: Iterable[Map], workers: int) -> None:
        self._spec = spec
        self._collection: Collection | None = collection
        self._borrowed = tuple(borrowed)
        self._workers = workers
        self._link: Link | None = None
        self._lock = threading.Lock()  # held while it is attached, and while it begins to close
        programs = {name: LoadedProgram(self, program) for name, program in spec.programs.items()}
        self.programs: Mapping[str, LoadedProgram] = Named("loaded program", programs, spec.source)
        self.maps: Mapping[str, Map] = Named("map", collection.maps, spec.source)
        self._codecs = Codecs(spec.types)
        self.types = Types(spec.types, self._codecs, spec.source)
        self.variables = LoadedVariables(self.maps, spec.maps, self._codecs, spec.source)

    @classmethod
    def load(cls, spec: CollectionSpec, reused: Mapping[str, Map], workers: int) -> Loaded:
        """See `Object.load`."""
        with ExitStack() as held:
            for map_ in reused.values():
                map_.hold()
                held.callback(map_.release)
            collection = Collection.load(
                spec, programs=spec.programs, processors=workers, reuse=reused, loops=export_programs, targets=True
            )
            held.pop_all()
        return cls(spec, collection, reused.values(), workers)

    def typed(self, name: str, *, key: Any = None, value: Any = None) -> TypedMap:
        """A map with keys and values by their types in C: numbers, lists, dicts; bytes if the object doesn't say.

        `key` and `value` are dataclasses, or other types, that they are to become. Raises NoSuchName, ValueUnfit if one
        doesn't match or the map has no keys, ObjectError if the object's own types are wrong.
        """
        map_ = self.maps[name]
        if not map_.spec.key_size:
            what, hint = f"a map of type {map_.spec.type.value} has no keys", "use `typed_queue`"
            raise ValueUnfit(what, where=f"{self._spec.source}: map {name}", hint=hint)
        return TypedMap(map_, self._codec(name, "key", key), self._codec(name, "value", value))

    def typed_queue(self, name: str, *, value: Any = None) -> TypedQueue:
        """A queue, a stack or a bloom filter with values by their type in C; see `typed`."""
        map_ = self.maps[name]
        if map_.spec.key_size:
            what, hint = f"a map of type {map_.spec.type.value} has keys", "use `typed`"
            raise ValueUnfit(what, where=f"{self._spec.source}: map {name}", hint=hint)
        return TypedQueue(map_, self._codec(name, "value", value))

    def _codec(self, name: str, part: str, target: Any) -> Codec:
        spec = self._spec.maps[name]
        types = {"key": (spec.key_type, spec.key_size), "value": (spec.value_type, spec.value_size)}
        codec = self._codecs.of(*types[part])
        try:
            return codec if target is None else TypedCodec(codec, target)
        except ValueUnfit as error:
            error.where = f"{self._spec.source}: map {name}: {error.within(part).where}"
            raise

    def open_collection(self) -> Collection:
        """What is loaded. Raises WrongState once it is closed."""
        if self._collection is None:
            raise WrongState("the object is closed", where=self._spec.source)
        return self._collection

    def attach(self, inward: str, outside: str, inside: str | None, outward: str | None) -> Link:
        """See `LoadedProgram.attach`."""
        for name in filter(None, (inward, outward)):
            hook = self.programs[name].spec.hook
            if not hook.judges_frames:
                raise ValueUnfit(f"programs of hook `{hook.name}` can't be attached to an interface", where=name)
        with self._lock:
            collection = self.open_collection()
            if self._link is not None and self._link.attached:
                raise WrongState(
                    "a program of the object is attached already", where=self._spec.source, hint="detach that one first"
                )
            self._link = Link(self._spec, collection.maps, inward, outward, outside, inside, self._workers)
        return self._link

    def close(self) -> None:
        """Detach, then close the code and the maps; reused maps stay open. Test runs of other threads may end.

        Raises GracePeriodExpired if a worker of the link does not end; all is closed then, and what it uses is kept.
        """
        with self._lock:
            link, collection, self._collection = self._link, self._collection, None
        with ExitStack() as closing:
            if collection is not None:
                for map_ in self._borrowed:
                    closing.callback(map_.release)
                closing.callback(collection.close, keep=self._borrowed)
            if link is not None:
                closing.callback(link.detach)
