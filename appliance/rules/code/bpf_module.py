"""An LLVM module that becomes a BPF object: maps that BTF describes, programs, lines, licence.

A map is a global of pointers in section `.maps`; its properties exist only in the debug information, from which LLVM
makes BTF: `type` and `max_entries` are pointers to int[n], as libbpf's `__uint(name, n)` declares them. Lines become
`.BTF.ext`; the text of the files is embedded (DIFile's `source`), so that a compilation reads nothing from the disk
and gives the same bytes for the same input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import binding as llvm
from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX
from appliance.errors import SourceLine
from appliance.ir import I8, I32, I64, PTR, Code, Pointer, Value
from appliance.rules.code import stack
from appliance.rules.stages.bitcode import Bitcode
from hooks.contracts.xdp import XDP_LINUX

LICENSE = b"GPL\0"

# Of optimisation: at 1, objects are as large and take longer to verify. What LLVM would copy into many places, and a
# verifier prove in each, is a function (token_bucket.define_conforms).
LEVEL = 2

_MAP_TYPE_NUMBERS = {kind: number for number, kind in LINUX.map_types.items()}
_HELPER_NUMBERS = {name: number for number, name in LINUX.helpers.items()}

Node = Any  # a metadata node of llvmlite's


class NameTaken(AssertionError):
    """Two different maps of one object got the same name: they would share their entries. A defect of the compiler."""

    def __init__(self, name: str) -> None:
        super().__init__(f"two different maps are called {name!r}")


@dataclass(frozen=True, slots=True)
class MapShape:
    """What a map is: sizes in bytes; `flags` are the kernel's BPF_F_* of map creation."""

    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0


class BpfModule:
    """One object file being written. For one thread."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """`texts` are the files that lines may point to, by name; the first is the one that the object is made of."""
        self.module = ir.Module("rules")
        self._files = {name: self._file(name, text) for name, text in texts.items()}
        self._main = next(iter(self._files.values()))
        self._unit = self._node(
            "DICompileUnit",
            language=ir.DIToken("DW_LANG_C99"),
            file=self._main,
            producer="tidegate",
            isOptimized=True,
            runtimeVersion=0,
            emissionKind=ir.DIToken("FullDebug"),
            distinct=True,
        )
        self._int = self._node("DIBasicType", name="int", size=32, encoding=ir.DIToken("DW_ATE_signed"))
        self._number_type = self._node("DIBasicType", name="long", size=64, encoding=ir.DIToken("DW_ATE_unsigned"))
        self._globals: list[Node] = []
        self._circles: list[tuple[Node, str, list[Node]]] = []  # nodes that name others, which name them
        self.maps: dict[str, MapShape] = {}
        self._constants: list[str] = []
        self._linked: dict[str, Bitcode] = {}  # by digest
        self._licence()

    # debug information

    def _node(self, kind: str, *, distinct: bool = False, **operands: Any) -> Node:
        return self.module.add_debug_info(kind, operands, is_distinct=distinct)

    def _file(self, name: str, text: str) -> Node:
        # DIFile's text ends where its lines end; LLVM wants it without a zero byte, which YAML can't hold anyway
        name = name.encode(errors="replace").decode()  # bytes that are no text stand in it as halves of characters
        return self._node("DIFile", filename=name, directory="", source=text)

    def _pointer(self, target: Node) -> Node:
        return self._node("DIDerivedType", tag=ir.DIToken("DW_TAG_pointer_type"), baseType=target, size=64)

    def _number(self, number: int) -> Node:
        elements = self.module.add_metadata([self._node("DISubrange", count=number)])
        array = self._node(
            "DICompositeType",
            tag=ir.DIToken("DW_TAG_array_type"),
            baseType=self._int,
            size=32 * number,
            elements=elements,
        )
        return self._pointer(array)

    def _context_type(self) -> Node:
        """A pointer to what Linux knows by its name as a program's context."""
        structure = self._node(
            "DICompositeType",
            tag=ir.DIToken("DW_TAG_structure_type"),
            name="xdp_md",
            size=8 * XDP_LINUX.context.size,
            file=self._main,
            elements=self.module.add_metadata([]),
        )
        return self._pointer(structure)

    def _subprogram(self, name: str, file: Node, line: int, *, local: bool, types: Sequence[Node] = ()) -> Node:
        """`types` are those of the result and the parameters, where Linux reads the signature."""
        signature = self._node("DISubroutineType", types=self.module.add_metadata(types or [self._int]))
        return self._node(
            "DISubprogram",
            name=name,
            file=file,
            line=line,
            unit=self._unit,
            isLocal=local,
            isDefinition=True,
            type=signature,
            distinct=True,
        )

    # what an object holds

    def declare_map(self, name: str, shape: MapShape) -> Pointer:
        """A map, as the pointer that helpers take. Declaring the same map again gives the first one."""
        if name in self.maps:
            if self.maps[name] != shape:
                raise NameTaken(name)
            known: Pointer = self.module.globals[name].bitcast(PTR)
            return known
        self.maps[name] = shape
        properties = {
            "type": _MAP_TYPE_NUMBERS[shape.type],
            "key_size": shape.key_size,
            "value_size": shape.value_size,
            "max_entries": shape.max_entries,
        }
        if shape.flags:
            properties["map_flags"] = shape.flags
        members = [
            self._node(
                "DIDerivedType",
                tag=ir.DIToken("DW_TAG_member"),
                name=key,
                baseType=self._number(number),
                size=64,
                offset=64 * index,
                file=self._main,
            )
            for index, (key, number) in enumerate(properties.items())
        ]
        structure = self._node(
            "DICompositeType",
            tag=ir.DIToken("DW_TAG_structure_type"),
            size=64 * len(members),
            file=self._main,
            elements=self.module.add_metadata(members),
        )
        variable = self._global(name, structure, ".maps", ir.ArrayType(I8, 8 * len(members)))
        place: Pointer = variable.bitcast(PTR)
        return place

    def _global(self, name: str, type_node: Node, section: str, type_: ir.Type) -> ir.GlobalVariable:
        variable = self._node(
            "DIGlobalVariable",
            name=name,
            scope=self._unit,
            file=self._main,
            line=1,
            type=type_node,
            isLocal=False,
            isDefinition=True,
            distinct=True,
        )
        expression = self._node("DIGlobalVariableExpression", var=variable, expr=self._node("DIExpression"))
        value = ir.GlobalVariable(self.module, type_, name)
        value.initializer, value.section, value.align = ir.Constant(type_, None), section, 8
        value.set_metadata("dbg", expression)
        self._globals.append(expression)
        return value

    def _licence(self) -> None:
        text = ir.GlobalVariable(self.module, ir.ArrayType(I8, len(LICENSE)), "_license")
        text.section, text.initializer = "license", ir.Constant(text.value_type, bytearray(LICENSE))

    def program(self, name: str, section: str) -> Code:
        """Start a program; its context is `code["context"]`. Its instructions belong to the main file's first line
        until `at` says otherwise."""
        code = Code.define(self.module, name, I32, linkage="external", context=PTR)
        code.function.section = section
        code.function.attributes.add("nounwind")
        self._describe(code, self._subprogram(name, self._main, 1, local=False))
        return code

    def global_function(self, name: str, parameters: Sequence[str], *, with_context: bool = False) -> Code:
        """Start a function of numbers, and the context before them, that programs call, and that Linux proves once,
        whoever calls it."""
        given = {**({"context": PTR} if with_context else {}), **dict.fromkeys(parameters, I64)}
        code = Code.define(self.module, name, I64, linkage="external", **given)
        code.function.attributes.add("noinline")
        code.function.attributes.add("nounwind")
        types = [self._number_type if type_ is I64 else self._context_type() for type_ in given.values()]
        subprogram = self._subprogram(name, self._main, 1, local=False, types=[self._number_type, *types])
        named = [
            self._node(
                "DILocalVariable", name=parameter, arg=number, scope=subprogram, file=self._main, line=1, type=type_
            )
            for number, (parameter, type_) in enumerate(zip(given, types, strict=True), 1)
        ]
        self._circles.append((subprogram, "retainedNodes", named))
        self._describe(code, subprogram)
        return code

    def subprogram(self, name: str, *, inline: bool, **parameters: ir.Type) -> Code:
        """Start a function that programs call. Inlined code takes the lines of its caller."""
        code = Code.define(self.module, name, I64, **parameters)
        code.function.attributes.add("alwaysinline" if inline else "noinline")
        code.function.attributes.add("nounwind")
        if not inline:
            self._describe(code, self._subprogram(name, self._main, 1, local=True))
        return code

    def _describe(self, code: Code, subprogram: Node) -> None:
        code.function.set_metadata("dbg", subprogram)
        code.builder.debug_metadata = self._node("DILocation", line=1, column=1, scope=subprogram)

    def at(self, code: Code, where: SourceLine) -> None:
        """What is written from now on comes from that line."""
        file = self._files.get(where.file, self._main)
        scope = code.function.metadata["dbg"]
        if file is not self._main:
            scope = self._node("DILexicalBlockFile", scope=scope, file=file, discriminator=0)
        location = self._node("DILocation", line=where.line, column=where.column, scope=scope)
        code.builder.debug_metadata = location

    def helper(self, code: Code, name: str, *arguments: Value) -> Value:
        """Call a helper: a call to the address that is its number. Gives r0; of a lookup that is a pointer."""
        result = PTR if name == "map_lookup_elem" else I64
        typed = [code.value(argument, I64) for argument in arguments]
        signature = ir.FunctionType(result, [argument.type for argument in typed])
        target = code.builder.inttoptr(ir.Constant(I64, _HELPER_NUMBERS[name]), ir.PointerType(signature))
        return code.builder.call(target, typed)

    # what others wrote

    def external(self, name: str, signature: ir.FunctionType) -> ir.Function:
        """A function that bitcode defines which is linked in."""
        known = self.module.globals.get(name)
        return known if known is not None else ir.Function(self.module, signature, name)

    def constant(self, name: str, numbers: Sequence[tuple[ir.IntType, int]]) -> None:
        """A number that bitcode reads as `extern const … name`, or a structure of them, one member behind the other.
        Saying it again changes nothing."""
        if name in self._constants:
            return
        type_ = ir.LiteralStructType([width for width, _ in numbers])
        value = ir.GlobalVariable(self.module, type_, name)
        value.global_constant = True
        value.initializer = ir.Constant(type_, [ir.Constant(width, number) for width, number in numbers])
        self._constants.append(name)

    def link(self, bitcode: Bitcode) -> None:
        """Make the bitcode a part of the object, if it isn't yet."""
        self._linked.setdefault(bitcode.digest, bitcode)

    # the object

    def emit(self) -> bytes:
        """Optimise and compile. The module can't be written to afterwards. Raises StackExceeded."""
        stack.widen()
        self.module.add_named_metadata("llvm.dbg.cu", self._unit)
        flags = [ir.Constant(I32, 2), "Debug Info Version", ir.Constant(I32, 3)]
        self.module.add_named_metadata("llvm.module.flags", flags)
        if self._globals:
            self._circles.append((self._unit, "globals", self._globals))
        for node, name, named in self._circles:  # llvmlite hashes nodes by content: close the circles last
            node.operands = (*node.operands, (name, self.module.add_metadata(named)))
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        machine = llvm.Target.from_triple("bpfel").create_target_machine(cpu="v3", opt=2)
        self.module.triple = "bpfel"
        self.module.data_layout = str(machine.target_data)
        with llvm.create_context() as context, llvm.parse_assembly(str(self.module), context) as native:
            native.verify()
            for bitcode in self._linked.values():
                stage = llvm.parse_bitcode(bitcode.data, context)
                stage.triple, stage.data_layout = native.triple, native.data_layout
                native.link_in(stage)
            for name in self._constants:  # folded into the code that reads them
                native.get_global_variable(name).linkage = "internal"
            passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=LEVEL))
            passes.getModulePassManager().run(native, passes)
            made = bytes(machine.emit_object(native))
        if (used := stack.stack_used(made)) > stack.SIZE:
            raise stack.StackExceeded(used, next(iter(self._files), ""))
        return made
