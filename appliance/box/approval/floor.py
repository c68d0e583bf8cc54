"""The last serial number that was accepted of each key: an approval that is older is not accepted again.

    {"5f0c…": 1796000000000000}      canonical JSON in one file, replaced as a whole

A signature does not wear out. Whoever can write where approvals lie could put last year's back, whose program has the
hole that this year's closed; so a box only goes forward, and going back takes a new approval of the old object. The
box's own key needs no floor: what it signs is bound to the request, and the request is what the box was told to run.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from appliance.box.approval.files import exists, read_guarded, replace_file, trusted
from appliance.box.approval.statements import canonical
from appliance.box.approval.statements.forms import Malformed, Number, Table, of_plain
from appliance.box.approval.statements.statement import LARGEST_SERIAL

LARGEST_FILE = 1 << 16  # bytes
_SERIALS = Table(Number(LARGEST_SERIAL), 256)


class Floor:
    """By id of a key. Any thread. Without a path it is forgotten with the process, and so is what a fork of it lifts:
    the file is for the process that made this.

    Raises FileRefused, or Malformed, for a file that somebody else could have written or that is none: it is not
    begun anew behind anybody's back. Whoever removes it has all that is signed and not expired accepted again."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._serials: dict[str, int] = {}
        if path is not None and exists(path):
            try:
                self._serials = of_plain(_SERIALS, canonical.decode(bytes(read_guarded(path, trusted(LARGEST_FILE)))))
            except (Malformed, canonical.NotCanonical) as error:
                hint = "remove it, if you know that no approval was put back"
                raise Malformed(f"it does not say what was accepted: {error}", where=str(path), hint=hint) from None

    def of(self, key: str) -> int:
        """The least serial number of that key that is accepted."""
        with self._lock:
            return self._serials.get(key, 0)

    def lift(self, key: str, serial: int) -> None:
        """Remember that this one was accepted. Raises FileRefused if it can't be written."""
        with self._lock:
            if serial <= self._serials.get(key, -1):
                return
            self._serials[key] = serial
            if self._path is not None and os.getpid() == self._process:
                replace_file(self._path, canonical.encode(self._serials), 0o600)
