"""What is trusted no longer, whatever is signed: a file of lines, read when the box starts, and at a reload.

# the laptop that was stolen
key 5f0c…                       a key's id, all 64 digits
approval 9a44…                  a statement's digest, as `tidegate inspect` shows it
serial 5f0c… 1796000000000000   all that this key signed up to that serial number
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.box.approval.files import read_guarded, trusted
from appliance.box.approval.statements.forms import DIGEST, Malformed
from appliance.box.approval.statements.statement import LARGEST_SERIAL
from appliance.errors import InputRefused, SourceLine

LARGEST_FILE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Revocations:
    """By id of a key, by digest of a statement, and by key the last serial number that counts no more."""

    keys: frozenset[str] = frozenset()
    approvals: frozenset[str] = frozenset()
    serials: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Revocations:
        """Raises FileRefused, and InputRefused for a line that says nothing."""
        text = bytes(read_guarded(path, trusted(LARGEST_FILE))).decode("utf-8", "replace")
        keys, approvals, serials = set(), set(), dict[str, int]()
        for number, line in enumerate(text.splitlines(), 1):
            match line.partition("#")[0].split():
                case []:
                    pass
                case ["key", key] if _is_digest(key):
                    keys.add(key)
                case ["approval", approval] if _is_digest(approval):
                    approvals.add(approval)
                case ["serial", key, serial] if _is_digest(key) and _is_serial(serial):
                    serials[key] = max(serials.get(key, 0), int(serial))
                case _:
                    hint = "`key ID`, `approval DIGEST` or `serial ID NUMBER`, ids and digests with all 64 digits"
                    where = SourceLine(str(path), number, text=line)
                    raise InputRefused("the line revokes nothing", where=where, hint=hint)
        return cls(frozenset(keys), frozenset(approvals), serials)


def _is_digest(text: str) -> bool:
    try:
        DIGEST.check(text, "")
    except Malformed:
        return False
    return True


def _is_serial(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= LARGEST_SERIAL
