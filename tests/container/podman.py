"""Podman without a service, without a registry, and without a trace: storage in a folder that goes away with it.

Nothing is asked of the machine but root:

    a mount namespace   where /sys/fs/cgroup is a cgroup2, whatever the machine has there, and where /run/tidegate is
                        a folder of this run; podman, its monitors (conmon) and its containers all live in it
    vfs                 storage that is plain folders: no overlay, no loop devices; on a tmpfs of that mount namespace
                        (1 GB is used), which is faster than a disk and is gone even if this process is killed
    crun                the runtime that can do without cgroups (`--cgroups=disabled`)
    ulimits             given, not inherited: podman else asks for more than a root without CAP_SYS_RESOURCE may have

A holder process (`cat`) keeps the mount namespace alive, and ends when this process does, because its input ends.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from hooks.interfaces.netns import Namespace
from tests.container.machine import bootstrap_options, build_mounts, mirror

STATE_DIRECTORY = Path("/run/tidegate")  # what the compose file mounts; docker makes it if it isn't there
ULIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
_HOLD = """
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs -o size=4g none "$1"
mount --bind "$2" "$3"
echo ready
exec cat
"""


class Podman:
    """One podman with images and containers of its own. A context manager; `close` twice is harmless.

    Any thread may use it, one at a time.
    """

    def __init__(self) -> None:
        self._owned = ExitStack()
        self.folder = Path(self._owned.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-container-")))
        self._holder = self._hold()
        self._owned.callback(self._remove_containers)

    def _hold(self) -> subprocess.Popen[str]:
        mounts = (self.folder / "storage", self.folder / "state", STATE_DIRECTORY)
        for folder in mounts[:2]:
            folder.mkdir()
        STATE_DIRECTORY.mkdir(exist_ok=True)
        holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _HOLD, "sh", *map(str, mounts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        self._owned.callback(holder.wait)
        self._owned.callback(holder.stdin.close)
        assert holder.stdout.readline() == "ready\n", "no mount namespace with a cgroup2 could be made"
        return holder

    def command(self, *arguments: str, place: Namespace | None = None) -> list[str]:
        """The command line of `podman ARGUMENTS` in the mount namespace; its `host` network is that of `place`."""
        return [
            "nsenter",
            f"--mount=/proc/{self._holder.pid}/ns/mnt",
            *([f"--net={place.path}"] if place else []),
            "podman",
            f"--root={self.folder}/storage",
            f"--runroot={self.folder}/run",
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            "--events-backend=file",
            "--runtime=crun",
            *arguments,
        ]

    def run(self, *arguments: str, place: Namespace | None = None, timeout: float = 60) -> str:
        """`podman ARGUMENTS` to its end; its standard output. A failure is an assertion that shows all it said."""
        done = self.attempt(*arguments, place=place, timeout=timeout)
        assert done.returncode == 0, f"podman {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def attempt(
        self, *arguments: str, place: Namespace | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """The same, where a failure is an answer."""
        command = self.command(*arguments, place=place)
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)

    def import_base(self, image: str) -> None:
        """Make Debian's image, `debian:SUITE-slim`, from Debian's packages, under the name that it has at Docker.

        Like the one there it doesn't wait for the disk after each file that dpkg writes.
        """
        archive = self.folder / "base.tar"
        options = ["--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io", *bootstrap_options()]
        command = ["mmdebstrap", *options, suite_of(image), str(archive), mirror(suite_of(image))]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        self.run("import", str(archive), f"docker.io/library/{image}", timeout=120)
        archive.unlink()

    def build(self, context: Path, tag: str) -> str:
        """Build `context`/Dockerfile as `tag`, on a base made here; what the build said."""
        (base,) = set(re.findall(r"^FROM (\S+)", (context / "Dockerfile").read_text(), re.M))
        self.import_base(base)
        given = build_mounts(suite_of(base), self.folder)
        how = ("--isolation=chroot", "--network=host", "--layers=false", "--pull=never")
        return self.run("build", *how, *given, f"--tag={tag}", str(context.resolve()), timeout=300)

    def create(self, name: str, arguments: Sequence[str]) -> None:
        """Make a container that `start` may start, from what compose says of it (`compose.create_arguments`)."""
        how = ("--cgroups=disabled", "--log-driver=k8s-file", *ULIMITS)
        self.run("create", f"--name={name}", *how, *arguments, timeout=120)

    def _remove_containers(self) -> None:
        self.attempt("rm", "--all", "--force", "--time=1")

    def close(self) -> None:
        """Remove containers, images and the folder of both."""
        self._owned.close()

    def __enter__(self) -> Podman:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def suite_of(image: str) -> str:
    """The Debian suite of an image of Debian's: `bookworm` of `debian:bookworm-slim`."""
    match = re.fullmatch(r"debian:(\w+)-slim", image)
    assert match is not None, f"the Dockerfile stands on {image}; only debian:SUITE-slim can be made here"
    return match[1]
