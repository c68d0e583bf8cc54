"""What docker-compose.yml gives the box, as the arguments that give podman's containers the same.

The compose file is the only place that says it. Each key of the service has a row in `KEYS`; one that has none is an
error, so whoever adds a key to the compose file must say here what it means before the test goes on.

Sources: the Compose Specification (05-services.md); podman-create(1) of podman 4.3.
"""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hooks.linux.capability import CAP_SYS_RESOURCE
from hooks.sandbox.capabilities import Privileges
from tests.yaml_files import load

COMPOSE_FILE = Path("docker-compose.yml")

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def read_service(name: str) -> dict[str, Any]:
    """The service `name` of the project's compose file, as it stands there."""
    service: dict[str, Any] = load(COMPOSE_FILE)["services"][name]
    return service


def create_arguments(service: dict[str, Any], project: Path) -> list[str]:
    """Options, image and command of `podman create`. Relative paths are the project folder's, as compose has it."""
    options: list[str] = []
    for key, value in service.items():
        if key not in KEYS:
            raise LookupError(f"{COMPOSE_FILE}: tests/container/compose.py has no row that says what {key!r} means")
        options += KEYS[key](value, project)
    return [*options, service["image"], *service.get("command", [])]


def seconds(duration: str) -> int:
    """A duration of compose, as `10s` or `1m30s`, in seconds."""
    parts = re.findall(r"(\d+)([smh])", duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"not a duration in hours, minutes and seconds: {duration!r}")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def _each(option: str) -> Callable[[list[str], Path], list[str]]:
    return lambda values, _: [f"{option}={value}" for value in values]


def _elsewhere(_: Any, __: Path) -> list[str]:
    return []


def _ulimits(limits: dict[str, int], _: Path) -> list[str]:
    """Those that may be had here: a container engine can't raise a limit beyond its own without CAP_SYS_RESOURCE."""
    raises = CAP_SYS_RESOURCE in Privileges.of().effective
    highest = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1] for name in limits}
    granted = {name: value for name, value in limits.items() if raises or value <= highest[name]}
    return [f"--ulimit={name}={value}" for name, value in granted.items()]


def _read_only(value: bool, _: Path) -> list[str]:
    """Podman would add writable /tmp, /run and /var/tmp; docker doesn't."""
    return ["--read-only", "--read-only-tmpfs=false"] if value else []


def _volumes(values: list[str], project: Path) -> list[str]:
    arguments = []
    for value in values:
        source, _, rest = value.partition(":")
        if "/" not in source:  # a volume of that name: here one that goes with the container
            arguments.append(f"--volume={rest}")
            continue
        arguments.append(f"--volume={project / source if source.startswith('.') else source}:{rest}")
    return arguments


def _healthcheck(check: dict[str, Any], _: Path) -> list[str]:
    """The check itself, and how long it may take. Its timer would need systemd: whoever waits asks for each check."""
    unknown = check.keys() - {"test", "interval", "timeout", "start_period"}
    if unknown:
        raise LookupError(f"{COMPOSE_FILE}: no test knows what {unknown} of a health check means")
    kind, *command = check["test"]
    if kind != "CMD":
        raise LookupError(f"{COMPOSE_FILE}: no test knows a health check of the kind {kind!r}")
    return [
        f"--health-cmd={json.dumps(command)}",
        "--health-interval=disable",
        f"--health-timeout={seconds(check['timeout'])}s",
        f"--health-start-period={seconds(check['start_period'])}s",
    ]


KEYS: dict[str, Callable[[Any, Path], list[str]]] = {
    "build": _elsewhere,  # Podman.build
    "image": _elsewhere,  # last argument
    "command": _elsewhere,  # after the image
    "network_mode": lambda value, _: [f"--network={value}"],
    "restart": lambda value, _: [f"--restart={value}"],
    "stop_grace_period": lambda value, _: [f"--stop-timeout={seconds(value)}"],
    "stop_signal": lambda value, _: [f"--stop-signal={value}"],
    "read_only": _read_only,
    "cap_drop": _each("--cap-drop"),
    "cap_add": _each("--cap-add"),
    "security_opt": _each("--security-opt"),
    "tmpfs": _each("--tmpfs"),
    "ulimits": _ulimits,
    "volumes": _volumes,
    "healthcheck": _healthcheck,
}
