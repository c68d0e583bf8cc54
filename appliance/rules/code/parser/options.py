"""A walk over the options of a header, as a function of its own: kind, length, data, one behind the other.

      ┌──────┬────────┬───────────────┐        the end (0) and no operation (1) have no length;
      │ kind │ length │ length - 2    │        a length below 2, or behind the header's end, ends the walk
      └──────┴────────┴───────────────┘

IPv4 (RFC 791 section 3.1) and TCP (RFC 9293 section 3.1) have the same. The loop goes over places, not options, and an
option is read where one is known to begin. So every place is a number that Linux knows, and what it knows of where the
next option begins is the same after every one (`_ANYWHERE`): it proves each place once, where it would follow a walk
from option to option along every path, a million instructions long. And it is a global function, which is proved once,
and not for every way that leads to a header with options.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from llvmlite import ir

from appliance.ir import I8, I64, U1, U64, Pointer
from appliance.rules.code.bpf_module import BpfModule
from appliance.rules.code.parser.cursor import Cursor, context_pointer, opaque

_LARGEST = 40  # bytes of options that a header has at most, each of which may be an option
_ANYWHERE = 511  # a mask that takes nothing from a place and a length
_LENGTH = 63  # a mask that takes nothing from the length of all options
_FARTHEST = 0x7FFF  # a mask that takes nothing from where options begin: extension headers are 16 KiB at most
_END, _NO_OPERATION = 0, 1


class OptionWalk(ABC):
    """Writes `NAME(context, start, length, …) -> i64`, one for all programs of an object. What is noted of an option,
    and what is answered, is for those who know the header. For one thread."""

    NAME: str
    MORE: tuple[str, ...] = ()  # parameters behind these

    def __init__(self, module: BpfModule) -> None:
        code = module.global_function(self.NAME, ("start", "length", *self.MORE), with_context=True)
        self.code = code
        self._data, self._end = context_pointer(code, "data"), context_pointer(code, "data_end")
        self._following = code.variable(I64, 0)
        self._done = code.function.append_basic_block("done")

    @abstractmethod
    def note_kind(self, kind: U64) -> None:
        """Write down that there is an option of that kind."""

    @abstractmethod
    def note_value(self, option: Pointer, kind: U64, size: U64) -> None:
        """Write down what the option says, `need` having asked for the bytes that are read."""

    @abstractmethod
    def answer(self) -> U64:
        """What the function gives, at the end of the walk."""

    def need(self, option: Pointer, size: int) -> None:
        """End the walk if the option has fewer bytes in the frame."""
        end = self.code.at(option, size)
        self._leave_if(self.code.compare(self.code.integer(end), ">", self.code.integer(self._end)))

    @classmethod
    def call(cls, cursor: Cursor, start: U64, length: U64, *more: int) -> U64:
        """Walk over so many bytes of options, which begin that far into the frame. Gives the answer."""
        known = cursor.module.module.globals
        function = known[cls.NAME] if cls.NAME in known else cls(cursor.module)._write()
        answer: U64 = cursor.code.call(function, cursor.code["context"], start, length, *more)
        return answer

    def _write(self) -> ir.Function:
        code = self.code
        length = code.and_(code["length"], _LENGTH)
        options = code.at(self._data, code.and_(code["start"], _FARTHEST))
        with code.count(_LARGEST) as at:
            self._leave_if(code.compare(at, ">=", length))
            with code.if_(code.compare(at, "==", self._following.get())):
                self._option(opaque(code, code.at(options, at)), at, length)
        code.builder.branch(self._done)
        code.builder.position_at_end(self._done)
        code.ret(self.answer())
        return code.function

    def _option(self, option: Pointer, at: U64, length: U64) -> None:
        """One option, which begins `at` bytes behind the first one: note what it is, and where the next one begins.

        Its kind is read a second time to be noted: of a kind that was compared Linux knows the number, would know what
        was found and where the next option begins, and prove what comes behind once for every such number."""
        code = self.code
        self.need(option, 1)
        kind, noted = self._byte(option, 0), self._byte(opaque(code, option), 0)
        size = code.variable(I64, 1)
        size.set(1)
        with code.if_(code.compare(kind, ">", _NO_OPERATION)):
            self.need(option, 2)
            size.set(self._byte(option, 1))
            beyond = code.compare(code.add(at, size.get()), ">", length)
            self._leave_if(code.or_(code.compare(size.get(), "<", 2), beyond))
        self.note_kind(noted)
        self.note_value(option, kind, size.get())
        self._leave_if(code.compare(kind, "==", _END))
        self._following.set(code.and_(code.add(at, size.get()), _ANYWHERE))

    def _byte(self, option: Pointer, offset: int) -> U64:
        byte: U64 = self.code.resize(self.code.load(self.code.at(option, offset), I8, align=1), I64)
        return byte

    def _leave_if(self, condition: U1) -> None:
        with self.code.if_(condition):
            self.code.builder.branch(self._done)
