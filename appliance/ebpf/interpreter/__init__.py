"""The checking interpreter: registers with provenance, memory with bounds, and a Fault for whatever leaves them.

`Interpreter(program, maps, helpers).run(context)` takes maps and helpers as given objects: `InterpreterMap` and
`Helper` say what they must do.
"""

from appliance.ebpf.interpreter.context import Context, PacketMemory
from appliance.ebpf.interpreter.interpreter import BUDGET, Fault, Interpreter
from appliance.ebpf.interpreter.machine import Helper, HelperCall, Invocation, TailCall
from appliance.ebpf.interpreter.maps import InterpreterMap, MapHandle
from appliance.ebpf.interpreter.regions import Dynptr, FunctionAddress, Pointer, Region, Value
from appliance.ebpf.interpreter.violation import Violation

__all__ = [
    "BUDGET",
    "Context",
    "Dynptr",
    "Fault",
    "FunctionAddress",
    "Helper",
    "HelperCall",
    "Interpreter",
    "InterpreterMap",
    "Invocation",
    "MapHandle",
    "PacketMemory",
    "Pointer",
    "Region",
    "TailCall",
    "Value",
    "Violation",
]
