"""Refusals as data: what one process raises, another one raises with the same words.

A refusal crosses by its class's name in a table, and by fields. Whoever reads it makes an error of a class that stands
in the table, or none: what a hostile prover can bring about is an error of ours with words of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.box.proving.records import Malformed
from appliance.ebpf.isa.codec import DecodeError
from appliance.ebpf.isa.codec.encoder import EncodeError
from appliance.ebpf.map_types import MapType
from appliance.ebpf.object_errors import CoreError, ObjectError, UnsupportedObject
from appliance.errors import CannotRun, InputRefused, SourceLine, TidegateError
from appliance.jit.plan import KernelOnlyProgram
from appliance.jit.subprogram import NotCompilable
from appliance.maps.errors import MapRefused
from appliance.verifier.reports.report import Rejected, Report, Unsupported

# What else an error of the class has: name and type. All of them have what, where and hint.
CROSSING: Mapping[type[TidegateError], Mapping[str, type]] = {
    InputRefused: {},
    CannotRun: {},
    ObjectError: {},
    UnsupportedObject: {"feature": str},
    CoreError: {},
    DecodeError: {"slot": int, "opcode": int},
    EncodeError: {"index": int},
    MapRefused: {"map": str, "type": MapType},
    KernelOnlyProgram: {},
    NotCompilable: {},
    Rejected: {"report": Report},
    Unsupported: {"report": Report},
}
_BY_NAME = {class_.__name__: class_ for class_ in CROSSING}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of a class in CROSSING; what its class doesn't have is None."""

    error: str
    what: str
    where: str | SourceLine | None
    hint: str | None
    feature: str | None = None
    slot: int | None = None
    opcode: int | None = None
    index: int | None = None
    map: str | None = None
    type: MapType | None = None
    report: Report | None = None

    @classmethod
    def of(cls, error: TidegateError) -> Refusal:
        """What is told of an error; of a class that is not in the table, by the nearest one that it is derived from."""
        class_ = next(class_ for class_ in type(error).__mro__ if class_ in CROSSING)
        where = error.where if isinstance(error.where, SourceLine | None) else str(error.where)
        own = {name: getattr(error, name) for name in CROSSING[class_]}
        return cls(class_.__name__, error.what, where, error.hint, **own)

    def as_error(self) -> TidegateError:
        """The error, to be raised. Raises Malformed if there is no such class, or it isn't one of its errors."""
        class_ = _BY_NAME.get(self.error)
        if class_ is None:
            raise Malformed(f"no refusal is called {self.error[:80]!r}")
        error = class_.__new__(class_)
        TidegateError.__init__(error, self.what, where=self.where, hint=self.hint)
        for name, type_ in CROSSING[class_].items():
            value = getattr(self, name)
            if not isinstance(value, type_) and not (name == "opcode" and value is None):
                raise Malformed(f"a {class_.__name__} whose {name} is a {type(value).__name__}")
            setattr(error, name, value)
        return error
