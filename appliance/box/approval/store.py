"""Approved builds that a box remembers on disk: a start and a reload of what is known cost no proof.

    DIRECTORY/                       mode 0700, of the box's user, no link
      REQUEST.approved               mode 0600; REQUEST is the SHA-256 of what was asked (objects, programs, workers)

Nothing there is believed: a file is read once, and what was read is checked as if a stranger had brought it
(appliance.box.approval.trust), in every mode. So whoever writes there decides at most that a proof is made anew. Files
are made beside and renamed, so that a half of one is never found; the least recently used go first.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from appliance.box.approval.container import LARGEST_FILE, SUFFIX, ApprovedFile
from appliance.box.approval.files import FileRefused, make_new, read_guarded, secret
from appliance.box.approval.reasons import NotApproved
from appliance.box.approval.statements import canonical
from appliance.box.approval.statements.claim import sha256
from appliance.box.approval.statements.forms import Malformed
from appliance.box.approval.trust import Approved, Trust
from appliance.box.proving.request import BuildRequest
from appliance.closeable import Closeable
from appliance.errors import TidegateError

MOST_FILES = 64
MOST_BYTES = 512 << 20
RESULTS = ("found", "absent", "refused")
_BEGUN = ".new-"  # what is being written; left behind by a process that was killed
_LONGEST_WRITING = 60  # seconds
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Kept(NamedTuple):
    """A file of the store, as it sorts: by its last use, in nanoseconds since 1970."""

    used: int
    size: int
    name: str


class Store(Closeable):
    """One directory. Any thread of one process; several processes may share it. What can't be kept is told and not
    raised: remembering is no duty."""

    def __init__(
        self,
        directory: Path,
        log: Callable[[str], None],
        *,
        most_files: int = MOST_FILES,
        most_bytes: int = MOST_BYTES,
        kernel: str = "",
    ) -> None:
        """Makes the directory if it isn't there. `kernel` is the release of the running kernel, which objects may ask
        for when they are loaded. Raises FileRefused for a directory that others could write to or read."""
        self._log = log
        self._most_files = most_files
        self._most_bytes = most_bytes
        self._largest = min(most_bytes, LARGEST_FILE)
        self._kernel = kernel or os.uname().release
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._where = directory
        self._folder = _open_directory(directory)
        self._remove_begun()

    def recall(self, request: BuildRequest, trust: Trust, now: float) -> Approved | None:
        """What was kept for that request, if it is approved as it lies there; None if it has to be built. What is not
        approved is told, counted and removed."""
        name = self._name(request)
        try:
            data = bytes(read_guarded(name, secret(self._largest), self._folder))
            found = ApprovedFile.of_bytes(data, request.object.source)
            approved = trust.check(found.approval, found.built, request, now, strict=True)
        except (FileRefused, Malformed, NotApproved) as error:
            if isinstance(error, FileRefused) and not self._is_there(name):
                return self._counted("absent", None)
            self._log(f"remembered code is not used, and built anew: {error}")
            self._remove(name)
            return self._counted("refused", None)
        with suppress(OSError):
            os.utime(name, dir_fd=self._folder, follow_symlinks=False)  # used last
        return self._counted("found", approved)

    def keep(self, file: ApprovedFile) -> None:
        """Remember this build for its request, and forget what was used least if it gets too much."""
        name, data = self._name(file.request), file.to_bytes()
        if len(data) > self._largest:
            self._log(f"{file.request.object.source}: {len(data)} bytes of code are too many to be remembered")
            return
        beside = f"{_BEGUN}{os.getpid()}-{threading.get_ident()}-{name}"
        try:
            with self._lock:
                make_new(beside, data, 0o600, self._folder)
                os.rename(beside, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                self._evict(name)
        except (OSError, TidegateError) as error:
            self._remove(beside)
            self._log(f"code can't be remembered in {self._where}: {error}")

    def counts(self) -> Mapping[str, int]:
        """How often something was found, absent or refused."""
        with self._lock:
            return {name: self._counts[name] for name in RESULTS}

    def close(self) -> None:
        folder, self._folder = self._folder, -1
        if folder >= 0:
            os.close(folder)

    def _counted(self, result: str, answer: Approved | None) -> Approved | None:
        with self._lock:
            self._counts[result] += 1
        return answer

    def _name(self, request: BuildRequest) -> str:
        called = [[each.number, each.program, sha256(each.object.data)] for each in request.called]
        asked = [sha256(request.object.data), request.inward, request.outward, request.workers, called, self._kernel]
        return sha256(canonical.encode(asked)) + SUFFIX

    def _is_there(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._folder)

    def _evict(self, newest: str) -> None:
        """Down to what may be kept, without the one that was just put in."""
        others = sorted((each for each in self._kept() if each.name != newest), reverse=True)
        number, size = 1, os.stat(newest, dir_fd=self._folder, follow_symlinks=False).st_size
        for each in others:
            number, size = number + 1, size + each.size
            if number > self._most_files or size > self._most_bytes:
                self._remove(each.name)

    def _kept(self) -> list[_Kept]:
        kept = []
        for name in self._names():
            if not name.startswith(_BEGUN):
                with suppress(OSError):
                    found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
                    kept.append(_Kept(found.st_mtime_ns, found.st_size, name))
        return kept

    def _remove_begun(self) -> None:
        """What others may be writing now is left alone."""
        for name in self._names():
            with suppress(OSError):
                found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
                if name.startswith(_BEGUN) and found.st_mtime < time.time() - _LONGEST_WRITING:
                    self._remove(name)

    def _names(self) -> list[str]:
        with os.scandir(self._folder) as found:
            return [each.name for each in found if each.name.endswith(SUFFIX)]


def _open_directory(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(directory, _OPEN)
    except OSError as error:
        raise FileRefused(f"no directory to remember code in: {error.strerror}", where=str(directory)) from None
    found = os.fstat(folder)
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        os.close(folder)
        what = f"others may use it (user {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o})"
        raise FileRefused(what, where=str(directory), hint=f"chown {os.geteuid()} and chmod 700 {directory}")
    return folder
