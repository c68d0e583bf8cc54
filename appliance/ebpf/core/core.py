"""CO-RE: compile once, run everywhere. What a program asked of its types is answered by those of the target.

    local types   struct flow { int a; int b; }           record: "byte offset of flow.b"    r1 = *(u32 *)(r1 + 4)
    target types  struct flow { int a; long c; int b; }   answer: 16                         r1 = *(u32 *)(r1 + 16)

An answer that does not exist poisons its instruction, which then calls a helper that nobody has: harmless in code
that is never reached because a question like "does the field exist?" was answered before. Source: libbpf, relo_core.c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from appliance.ebpf.btf.btf import Btf, Kind
from appliance.ebpf.core.access import Access, describe, local_enumerator, local_field, target_enumerator, target_field
from appliance.ebpf.core.candidates import Candidates, types_agree
from appliance.ebpf.core.matching import TypeMatcher
from appliance.ebpf.object_errors import CoreError


class Question(IntEnum):
    """What a record asks (enum bpf_core_relo_kind)."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


_OF_FIELDS = frozenset(range(Question.FIELD_BYTE_OFFSET, Question.FIELD_RSHIFT_U64 + 1))
_OF_VALUES = frozenset({Question.ENUMVAL_EXISTS, Question.ENUMVAL_VALUE})


@dataclass(frozen=True, slots=True)
class CoreRecord:
    """One question of a program: about type number `type` of its own types, and what `access` names in it."""

    type: int
    access: str
    question: Question


@dataclass(frozen=True, slots=True)
class Value:
    """One side's answer. `size` and `type` are of a field that loads and stores touch whole; 0 for all else.

    `exact` says that the compiler wrote this very value, so that the instruction must hold it.
    """

    value: int
    exact: bool = True
    size: int = 0
    type: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The value that the compiler wrote and the one to be written, or None to poison the instruction.

    `resizable` says whether a load or store may take the target's size in place of the compiler's.
    """

    local: Value | None
    target: Value | None
    resizable: bool = True


class CoreResolver:
    """Answers the questions of one file. `find_target` is called once, when first a question needs the target.
    For one thread."""

    def __init__(self, local: Btf, find_target: Callable[[], Btf]) -> None:
        self._local = local
        self._find_target = find_target
        self._search: _Search | None = None
        self._answers: dict[CoreRecord, Answer] = {}

    def answer(self, record: CoreRecord) -> Answer:
        """What to write. Raises CoreError, and ObjectError for types that make no sense."""
        if record not in self._answers:
            self._answers[record] = self._answer(record)
        return self._answers[record]

    def _answer(self, record: CoreRecord) -> Answer:
        access = _local_access(self._local, record)
        if record.question is Question.TYPE_ID_LOCAL:
            same = Value(record.type, exact=False)
            return Answer(same, same)
        if not self._local.type(record.type).name:
            raise CoreError(f"type {record.type} has no name, by which it could be found in the target")
        if self._search is None:
            self._search = _Search(self._local, self._find_target())
        return self._search.answer(record, access)


class _Search:
    """The target's types being searched."""

    def __init__(self, local: Btf, target: Btf) -> None:
        self._local = local
        self._target = target
        self._candidates = Candidates(target)
        self._matcher = TypeMatcher(local, target)

    def answer(self, record: CoreRecord, access: Access) -> Answer:
        found: Access | None = None
        value: Value | None = None
        for candidate in self._candidates.of(self._local.type(record.type)):
            other = self._match(record, access, candidate)
            if other is None:
                continue
            its = _evaluate(record.question, other)
            if found is None:
                found, value = other, its
            elif other.bit_offset != found.bit_offset or _plain(its) != _plain(value):
                raise CoreError(
                    f"the target has several {describe(self._local, record.type)}, which answer differently "
                    f"({_words(value, found)} and {_words(its, other)})"
                )
        local = _evaluate(record.question, access)
        if found is None:
            value = _evaluate(record.question, None)
        return Answer(local, value, self._resizable(local, value))

    def _match(self, record: CoreRecord, access: Access, candidate: int) -> Access | None:
        if record.question in _OF_FIELDS:
            return target_field(access, self._target, candidate)
        if record.question in _OF_VALUES:
            return target_enumerator(access, self._target, candidate)
        if record.question is Question.TYPE_MATCHES:
            agrees = self._matcher.match(record.type, candidate)
        else:
            agrees = types_agree(self._local, record.type, self._target, candidate)
        return Access(self._target, candidate) if agrees else None

    def _resizable(self, local: Value | None, target: Value | None) -> bool:
        """Pointers and unsigned numbers may change their size: they are extended with zeros."""
        if local is None or target is None or local.size == target.size:
            return True
        kinds = self._local.type(local.type), self._target.type(target.type)
        if all(found.kind is Kind.PTR for found in kinds):
            return True
        return all(found.kind is Kind.INT and not found.signed for found in kinds)


def _local_access(local: Btf, record: CoreRecord) -> Access:
    if record.question in _OF_FIELDS:
        return local_field(local, record.type, record.access)
    if record.question in _OF_VALUES:
        return local_enumerator(local, record.type, record.access)
    local.type(record.type)
    if record.access != "0":
        raise CoreError(f"a question about a whole type has the path {record.access[:80]!r}, not '0'")
    return Access(local, record.type)


def _plain(value: Value | None) -> int | None:
    return None if value is None else value.value


def _words(value: Value | None, access: Access) -> str:
    if value is None:
        return "not at all"
    return f"{value.value} by type {access.root}"


# the answers


def _evaluate(question: Question, access: Access | None) -> Value | None:
    """What one side answers; no access means that the target has no such thing, and None that this has no answer."""
    if question in (Question.FIELD_EXISTS, Question.ENUMVAL_EXISTS, Question.TYPE_EXISTS, Question.TYPE_MATCHES):
        return Value(int(access is not None))
    if question in (Question.TYPE_SIZE, Question.TYPE_ID_TARGET):
        if access is None:
            return Value(0)
        if question is Question.TYPE_ID_TARGET:
            return Value(access.root, exact=False)
        return Value(access.btf.size_of(access.root))
    if access is None:
        return None
    if question is Question.ENUMVAL_VALUE:
        return Value(_extended(access))
    return _element(question, access) if access.member is None else _field(question, access)


def _extended(access: Access) -> int:
    """An enumeration's value as 64 bits hold it. Those of 32 bits are extended as signed, whatever they are."""
    value = access.enumerator.value
    narrow = access.btf.type(access.steps[-1].type).kind is Kind.ENUM
    return value - (1 << 32) if narrow and value >> 31 == 1 else value


def _element(question: Question, access: Access) -> Value:
    """Of an element of an array, which has a place and a size and nothing else."""
    size = access.btf.size_of(access.value_type)
    if question is Question.FIELD_BYTE_OFFSET:
        return Value(access.bit_offset // 8, size=size, type=access.value_type)
    if question is Question.FIELD_BYTE_SIZE:
        return Value(size)
    raise CoreError(f"{question.name} can't be asked of an element of an array")


def _field(question: Question, access: Access) -> Value:
    """Of a member. A bit field's bytes are those of the smallest aligned load that holds it."""
    assert access.member is not None
    bits, kind = access.member.bits, access.btf.type(access.value_type)
    if bits:
        at, size = _load_of_bits(access.bit_offset, bits, kind.size)
    else:
        at, size = access.bit_offset // 8, access.btf.size_of(access.value_type)
    exact = not bits  # compilers differ in how they load bit fields
    if question is Question.FIELD_BYTE_OFFSET:
        return Value(at, exact, *((0, 0) if bits else (size, access.value_type)))
    if question is Question.FIELD_BYTE_SIZE:
        return Value(size, exact)
    if question is Question.FIELD_SIGNED:
        return Value(int(kind.signed))
    width = bits or size * 8
    if question is Question.FIELD_LSHIFT_U64:
        return Value(64 - (access.bit_offset + width - at * 8), exact)
    return Value(64 - width)


def _load_of_bits(offset: int, bits: int, size: int) -> tuple[int, int]:
    """The byte and the size of the load that holds those bits, at least of the declared size."""
    if not size:
        raise CoreError("a bit field's type has no size")
    while True:
        at = offset // 8 // size * size
        if offset + bits <= (at + size) * 8:
            return at, size
        if size >= 8:
            raise CoreError("a bit field does not fit into one load of 64 bits")
        size *= 2
