"""What can be seen of a Built from its form: that it answers the request, and that its parts fit each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from appliance.box.proving.built import Built, Image, ProvedProgram
from appliance.box.proving.records import Malformed
from appliance.box.proving.request import BuildRequest
from appliance.datapath.pass_all import PASS_ALL
from appliance.ebpf.platform import PLATFORMS

ELF = b"\x7fELF"
LARGEST_COUNT = 4096  # of programs, of images, of names in any list
LONGEST_NAME = 4096  # characters
MEMORY = "memory."

_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_form(built: Built, request: BuildRequest) -> None:
    """Raises Malformed."""
    if built.platform not in PLATFORMS:
        raise Malformed(f"no platform is called {built.platform[:80]!r}")
    _check_names("programs", [program.name for program in built.programs])
    _check_names("images", [image.name for image in built.images])
    asked = {request.inward, request.outward or PASS_ALL, *(each.program for each in request.called)}
    missing = asked - {program.name for program in built.programs}
    if missing:
        raise Malformed(f"no proof of {', '.join(sorted(missing))[:200]}")
    for program in built.programs:
        _check_program(program)
    _check_images(built.images)
    for name, digest in built.prototypes.items():
        _check_digest(name, digest)
    if min(built.verify_seconds, built.compile_seconds) < 0:
        raise Malformed("a time below zero")


def _check_program(program: ProvedProgram) -> None:
    _check_digest(f"{program.name}: bytecode", program.bytecode)
    _check_digest(f"{program.name}: facts", program.facts)
    _check_names("helpers", program.helpers)
    _check_names("arrays of programs", program.tail_call_maps)
    if program.instructions < 1 or program.seconds < 0:
        raise Malformed(f"{program.name}: {program.instructions} instructions, proved in {program.seconds} s")


def _check_images(images: tuple[Image, ...]) -> None:
    """Each symbol is memory, or an export of another image: nobody else's code is called."""
    exports = [export for image in images for export in image.exports]
    _check_names("exports", exports)
    if not images or not images[0].exports:
        raise Malformed("no image exports a loop")
    for image in images:
        _check_names("symbols", image.symbols)
        if not image.data.startswith(ELF):
            raise Malformed(f"the image {image.name[:80]!r} is no ELF object")
        others = set(exports) - set(image.exports)
        for symbol in image.symbols:
            if not symbol.startswith(MEMORY) and symbol not in others:
                raise Malformed(f"the image {image.name[:80]!r} names {symbol[:80]!r}, which nothing exports")


def _check_names(what: str, names: Iterable[str]) -> None:
    counts = Counter(names)
    if len(counts) > LARGEST_COUNT:
        raise Malformed(f"{len(counts)} {what}")
    for name, count in counts.items():
        if count > 1 or not 0 < len(name) <= LONGEST_NAME:
            raise Malformed(f"{what}: {name[:80]!r} {count} times")


def _check_digest(what: str, digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise Malformed(f"{what[:80]}: no SHA-256")
