"""A map of an object that is not loaded yet: what the file says of it, and what may be changed."""

from __future__ import annotations

from dataclasses import replace

from appliance.api.errors import ValueUnfit
from appliance.api.map_reuse import mismatch
from appliance.api.pins import Pins
from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps.control.map import Map


class ObjectMap:
    """One declared map. `spec` is what `load` will open: the file's declaration with the changes made here.

    `pin_name` is the name under which `load(pins=…)` shares it, None if it is not shared: what the file says, until
    another one is assigned. For one thread at a time.
    """

    def __init__(self, spec: MapSpec, where: str) -> None:
        self.spec = spec
        self.reused: Map | None = None
        self.pin_name = spec.name if spec.pinned else None
        self._where = f"{where}: map {spec.name}"

    @property
    def max_entries(self) -> int:
        """How many entries it will hold. Assigning resizes it; raises ValueUnfit for sections of variables."""
        return self.spec.max_entries

    @max_entries.setter
    def max_entries(self, number: int) -> None:
        self._refuse_section()
        if number < 1:
            raise ValueUnfit(f"{number} entries", where=self._where, hint="a map has room for at least 1")
        self.spec = replace(self.spec, max_entries=number)

    @property
    def type(self) -> MapType:
        """What kind of map it will be. A MapType or its name may be assigned, such as "lru_hash"."""
        return self.spec.type

    @type.setter
    def type(self, kind: MapType | str) -> None:
        self._refuse_section()
        try:
            self.spec = replace(self.spec, type=MapType(kind))
        except ValueError:
            hint = f"known: {', '.join(known.value for known in MapType)}"
            raise ValueUnfit(f"there is no map type {kind!r}", where=self._where, hint=hint) from None

    @property
    def flags(self) -> int:
        """The kernel's BPF_F_* of map creation."""
        return self.spec.flags

    @flags.setter
    def flags(self, flags: int) -> None:
        self._refuse_section()
        self.spec = replace(self.spec, flags=flags)

    @property
    def key_size(self) -> int:
        """Bytes of a key. Another size than the file declares leaves keys without a type: they are bytes then."""
        return self.spec.key_size

    @key_size.setter
    def key_size(self, size: int) -> None:
        self._refuse_section()
        if size != self.spec.key_size:
            self.spec = replace(self.spec, key_size=size, key_type=0)

    @property
    def value_size(self) -> int:
        """Bytes of a value; see `key_size`. The programs must get by with it: `load` proves them with the new size."""
        return self.spec.value_size

    @value_size.setter
    def value_size(self, size: int) -> None:
        self._refuse_section()
        if size != self.spec.value_size:
            self.spec = replace(self.spec, value_size=size, value_type=0)

    @property
    def initial_value(self) -> bytes:
        """What a section of variables will hold when it is loaded; zeros if the file gives it no contents."""
        for _, value in self.spec.contents:
            return value
        return bytes(self.spec.value_size)

    @initial_value.setter
    def initial_value(self, value: bytes) -> None:
        self._refuse_reused()
        if not self.spec.variables or len(value) != self.spec.value_size:
            hint = "only a section of variables has one, of the section's size"
            raise ValueUnfit(f"an initial value of {len(value)} bytes", where=self._where, hint=hint)
        self.spec = replace(self.spec, contents=((bytes(self.spec.key_size), value),))

    def reuse(self, map_: Map) -> None:
        """Use an open map, entries and all, instead of a new one; its `max_entries` counts then.

        It stays its owner's, and lives on in the loaded object if its owner closes it. Raises ValueUnfit if it is of
        another kind than the file declares.
        """
        reason = mismatch(self.spec, map_.spec)
        if reason is not None:
            raise ValueUnfit(reason, where=self._where)
        self.reused, self.spec = map_, self.spec_reusing(map_)

    def spec_reusing(self, map_: Map) -> MapSpec:
        """The declaration of an open map, under this one's name; what bytes mean stays what this object says."""
        return replace(
            map_.spec,
            name=self.spec.name,
            variables=self.spec.variables,
            key_type=self.spec.key_type,
            value_type=self.spec.value_type,
        )

    def pinned_in(self, pins: Pins) -> Map | None:
        """The map that it is to share, if there is one already. Raises ValueUnfit if that is not as declared."""
        return None if self.pin_name is None else pins.find(self.pin_name, self.spec, self._where)

    def _refuse_section(self) -> None:
        self._refuse_reused()
        if self.spec.variables or self.spec.contents:
            raise ValueUnfit("its size follows from what it holds", where=self._where)

    def _refuse_reused(self) -> None:
        if self.reused is not None:
            raise ValueUnfit("it is another object's map", where=self._where, hint="change it before `reuse`")
