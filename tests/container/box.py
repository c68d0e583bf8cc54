"""The container at work between two hosts: start it, ask it, stop it, and see what it did to its interfaces.

  outside namespace          box namespace                 inside namespace
+------------------+   +---------------------------+   +------------------+
|            eth0  |===| eth0                 eth1 |===| eth0             |
+------------------+   |     container "box",      |   +------------------+
                       |   network_mode: host      |
                       +---------------------------+
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.container.podman import Podman
from tests.netns import Topology

CONFIGS = Path("configs")
PORTS = ("eth0", "eth1")


class Box:
    """One start of the container. As a context manager it ends the box, however the block ends."""

    def __init__(self, podman: Podman, container: str, project: Path, net: Topology) -> None:
        """Start it with configs/ as it is shipped, and wait until its health check passes."""
        self.podman, self.container, self.net = podman, container, net
        self.document = project / "configs" / "tidegate.yaml"
        shutil.copytree(CONFIGS, project / "configs", dirs_exist_ok=True)
        for port in PORTS:  # something to switch off, and to put back
            net.box.run(["ethtool", "-K", port, "gro", "on"])
        self.before = self.interfaces()
        podman.run("start", container, place=net.box)
        self.wait_for(self.healthy, "the health check passes")

    def interfaces(self) -> dict[str, Any]:
        """Everything about the two interfaces that a box might have changed, as iproute2 and ethtool say it."""
        box = self.net.box
        found: dict[str, Any] = {}
        for port in PORTS:
            (link,) = json.loads(box.run(["ip", "-json", "-details", "link", "show", "dev", port]).stdout)
            found[port] = {
                "link": link,
                "qdiscs": box.run(["tc", "qdisc", "show", "dev", port]).stdout,
                "ingress": box.run(["tc", "filter", "show", "dev", port, "ingress"], check=False).stdout,
                "offloads": box.run(["ethtool", "-k", port]).stdout,
                "disable_ipv6": box.sysctl(f"ipv6/conf/{port}/disable_ipv6"),
            }
        return found

    def healthy(self) -> bool:
        """Run the compose file's health check once."""
        return self.podman.attempt("healthcheck", "run", self.container, place=self.net.box).returncode == 0

    def tidegate(self, *arguments: str) -> str:
        """A second `tidegate` in the same container, with the same rights; its output."""
        program = "/opt/tidegate/bin/tidegate"
        return self.podman.run("exec", self.container, program, *arguments, place=self.net.box)

    def logs(self) -> str:
        done = self.podman.attempt("logs", self.container, place=self.net.box)
        return done.stdout + done.stderr

    def state(self, field: str) -> str:
        """A field of the container's state, as podman-inspect(1) names them: `Pid`, `ExitCode`, `Status`."""
        return self.podman.run("inspect", f"--format={{{{.State.{field}}}}}", self.container, place=self.net.box)

    def signal(self, name: str) -> None:
        """Send the box's process a signal, as `docker compose kill -s NAME box`."""
        self.podman.run("kill", f"--signal={name}", self.container, place=self.net.box)

    def strike(self, number: int) -> None:
        """Send it a signal behind podman's back, as the kernel does when memory runs out."""
        os.kill(int(self.state("Pid")), number)

    def stop(self) -> int:
        """Stop it with the image's signal and the compose file's patience; its exit status."""
        self.podman.run("stop", self.container, place=self.net.box)
        return int(self.state("ExitCode"))

    def status(self, key: str) -> str:
        """A line of /proc/PID/status of the box's process."""
        lines = Path("/proc", self.state("Pid"), "status").read_text().splitlines()
        (value,) = (line.split(":")[1].strip() for line in lines if line.startswith(f"{key}:"))
        return value

    def mounts(self) -> dict[str, set[str]]:
        """Mount point → options of the mount, of all that the box's process sees (proc(5), mountinfo)."""
        lines = Path("/proc", self.state("Pid"), "mountinfo").read_text().splitlines()
        return {fields[4]: set(fields[5].split(",")) for fields in map(str.split, lines)}

    def ping(self) -> bool:
        """Whether one ping of the outside host comes back from the inside host."""
        outside = self.net.outside
        return outside.run(["ping", "-c", "1", "-W", "2", self.net.inside.ipv4], check=False).returncode == 0

    def wait_for(self, condition: Callable[[], bool], what: str, limit: float = 30) -> None:
        """Ask until the condition holds; an assertion with the box's log if it doesn't within `limit` seconds."""
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, f"not within {limit} s: {what}\n{self.logs()}"
            time.sleep(0.2)

    def __enter__(self) -> Box:
        return self

    def __exit__(self, *_: object) -> None:
        self.podman.attempt("stop", self.container, place=self.net.box)


def knock(net: Topology, port: int) -> str:
    """What a TCP connection from the outside host to a port where nobody listens meets: `refused` or `silence`."""
    program = f"import socket; socket.create_connection(({net.inside.ipv4!r}, {port}), timeout=2)"
    done: subprocess.CompletedProcess[str] = net.outside.run(["/usr/bin/python3", "-c", program], check=False)
    answers = {"ConnectionRefusedError": "refused", "TimeoutError": "silence"}
    return next((answer for error, answer in answers.items() if error in done.stderr), done.stderr)
