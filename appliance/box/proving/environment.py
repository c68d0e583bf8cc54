"""What this machine proves and compiles with: versions, and the processor. Every build states it, and it is compared.

A version of this program is its number and a digest of its source: proofs and code are functions of that, too, and a
number alone doesn't tell one checkout from the next.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path

import appliance
import hooks
from appliance.ir.compiler import llvm_version, processor

__all__ = ["processor", "runs_on", "versions"]

_DIGITS = 16


@cache
def versions() -> dict[str, str]:
    """Of what proves and compiles, by name. The first call reads this program's source (about 15 ms)."""
    return {
        "tidegate": f"{appliance.__version__}+{_source_digest()}",
        "llvm": llvm_version(),
        "python": platform.python_version(),
    }


def runs_on(code: str, machine: str) -> bool:
    """Whether code for the one processor runs on the other: it has every feature."""
    return _features(code) <= _features(machine)


def _features(described: str) -> set[str]:
    _, _, features = described.partition(" ")
    return {feature for feature in features.split(",") if feature.startswith("+")}


def _source_digest() -> str:
    digest = hashlib.sha256()
    for package in (appliance, hooks):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_DIGITS]
