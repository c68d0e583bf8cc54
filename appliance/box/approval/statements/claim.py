"""What is said about one build: everything that proof and machine code depend on, and the machine code, by digest.

    BuildRequest ─┐
                  ├──> Claim ──packed, by a fixed form──> keeper          (no bytes of objects or images: the keeper
    Built ────────┘      │                                                 has nothing to parse and nothing to trip on)
                         └──JSON, canonical──> what is signed

The order of fields is that of the packed form, so it is part of what client and keeper agree upon.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.box.approval.statements.forms import DIGEST, NAME, List, Number, Optional, Record, Table, Text
from appliance.box.proving.built import Built, Image, ProvedProgram
from appliance.box.proving.request import BuildRequest, CalledObject, ObjectFile

MOST_WORKERS = 64
_MOST_NAMES = 8192  # maps of a large rule set, and symbols of its code
_NAMES = List(NAME, _MOST_NAMES)
_U32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class CalledClaim:
    """An object that a rule set calls: `object` is its SHA-256."""

    number: int
    program: str
    object: str


@dataclass(frozen=True, slots=True)
class ProgramClaim:
    """One program, as `ProvedProgram` has it, without how long it took."""

    name: str
    hook: str
    bytecode: str
    facts: str
    instructions: int
    helpers: tuple[str, ...]
    tail_call_maps: tuple[str, ...]
    body: str


@dataclass(frozen=True, slots=True)
class ImageClaim:
    """Machine code: `code` is the SHA-256 of the ELF object."""

    name: str
    code: str
    exports: tuple[str, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """One build. See `appliance.box.proving` for what the fields mean."""

    object: str
    inward: str
    outward: str | None
    workers: int
    called: tuple[CalledClaim, ...]
    platform: str
    programs: tuple[ProgramClaim, ...]
    images: tuple[ImageClaim, ...]
    prototypes: Mapping[str, str]
    versions: Mapping[str, str]
    processor: str

    @classmethod
    def of(cls, request: BuildRequest, built: Built) -> Claim:
        """What `built` would be signed as, being the answer to `request`: the digests of bytes are made here."""
        return cls(
            object=sha256(request.object.data),
            inward=request.inward,
            outward=request.outward,
            workers=request.workers,
            called=tuple(CalledClaim(each.number, each.program, sha256(each.object.data)) for each in request.called),
            platform=built.platform,
            programs=tuple(
                ProgramClaim(**{name: getattr(program, name) for name in _PROGRAM.fields}) for program in built.programs
            ),
            images=tuple(ImageClaim(each.name, sha256(each.data), each.exports, each.symbols) for each in built.images),
            prototypes=built.prototypes,
            versions=built.versions,
            processor=built.processor,
        )

    def request(self, objects: Sequence[ObjectFile]) -> BuildRequest:
        """The request that this was the answer to, with bytes: the filter's object first, then those that it calls."""
        first, *others = objects
        called = zip(self.called, others, strict=True)
        return BuildRequest(
            first,
            self.inward,
            self.outward,
            self.workers,
            tuple(CalledObject(each.number, each.program, file) for each, file in called),
        )

    def built(self, images: Sequence[bytes]) -> Built:
        """The build, with bytes of its images. It took no time: nothing was proved or compiled."""
        return Built(
            platform=self.platform,
            programs=tuple(
                ProvedProgram(**{name: getattr(program, name) for name in _PROGRAM.fields}, seconds=0.0)
                for program in self.programs
            ),
            images=tuple(
                Image(each.name, data, each.exports, each.symbols)
                for each, data in zip(self.images, images, strict=True)
            ),
            prototypes=self.prototypes,
            versions=self.versions,
            processor=self.processor,
            verify_seconds=0.0,
            compile_seconds=0.0,
        )


def sha256(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


_PROGRAM = Record(
    ProgramClaim,
    name=NAME,
    hook=NAME,
    bytecode=DIGEST,
    facts=DIGEST,
    instructions=Number(1 << 20),
    helpers=_NAMES,
    tail_call_maps=_NAMES,
    body=NAME,
)
CLAIM = Record(
    Claim,
    object=DIGEST,
    inward=NAME,
    outward=Optional(NAME),
    workers=Number(MOST_WORKERS, least=1),
    called=List(Record(CalledClaim, number=Number(_U32), program=NAME, object=DIGEST), 256),
    platform=NAME,
    programs=List(_PROGRAM, 1024),
    images=List(Record(ImageClaim, name=NAME, code=DIGEST, exports=_NAMES, symbols=_NAMES), 256),
    prototypes=Table(DIGEST, _MOST_NAMES),
    versions=Table(Text(255), 16),
    processor=Text(8192),
)
