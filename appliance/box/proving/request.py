"""What a prover is asked: the bytes of objects, and how they are to be loaded. It has no file to read them from."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import SourceLine


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """An ELF file by value; `source` is what messages call it."""

    source: str
    data: bytes


@dataclass(frozen=True, slots=True)
class CalledObject:
    """An object that a rule set calls: its program `program` stands at `number` in the array of programs. `where` the
    rule set asks for it, messages say."""

    number: int
    program: str
    object: ObjectFile
    where: SourceLine | None = None


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One load of a box: the proofs and the code are functions of this, and of the code of this program.

    `inward` and `outward` are names of programs of the object; `outward` is None where frames from inside pass as they
    are. `called` are the objects that stand beside it. `workers` is how many copies the maps of each processor have.
    """

    object: ObjectFile
    inward: str
    outward: str | None
    workers: int
    called: tuple[CalledObject, ...] = ()
