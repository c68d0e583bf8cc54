"""Tables in an object: their maps, the functions that ask them, and what a program does with the answer."""

from __future__ import annotations

from llvmlite import ir

from appliance.ir import I64, U64, Code
from appliance.rules.classifier.layout import NODE_SIZE, NOTHING, Table
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.fields import Fields
from appliance.rules.code.lookups.set_maps import SetMaps
from appliance.rules.code.lookups.walk import TableMaps, define_walk, frame_words


class Tables:
    """The tables of an object, which its programs share. For one thread."""

    def __init__(self, module: BpfModule, maps: SetMaps) -> None:
        self.module = module
        self.maps = maps
        self._walks: dict[Table, ir.Function] = {}

    def walk(self, table: Table) -> ir.Function:
        """The function that asks that table."""
        if table not in self._walks:
            version = table.family.version
            maps = TableMaps(
                nodes=self.maps.array(f"nodes{version}", table.nodes, NODE_SIZE),
                records=self.maps.array(f"boxes{version}", table.records, table.family.record_size),
            )
            name = f"table_{len(self._walks)}"
            self._walks[table] = define_walk(self.module, name, maps, table.family)
        return self._walks[table]

    def ask(self, code: Code, fields: Fields, tables: tuple[Table, ...]) -> U64:
        """The number of the first rule of these tables, one for each family, that matches the frame; or NOTHING."""
        found = code.variable(I64, NOTHING)
        for table in tables:
            walk = self.walk(table)
            with code.if_(code.compare(fields["version"], "==", table.family.version)):
                found.set(code.call(walk, *frame_words(code, fields, table.family)))
        return found.get()
