"""What a compose service says becomes podman's arguments, each key or none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.container.compose import create_arguments, read_service, seconds

PROJECT = Path("/project")


def test_the_box_gets_everything_that_docker_would_give_it() -> None:
    arguments = create_arguments(read_service("box"), PROJECT)
    (check,) = [each for each in arguments if each.startswith("--health-cmd=")]
    limits = {each for each in arguments if each.startswith("--ulimit=")}  # none, where none may be had
    assert limits <= {"--ulimit=rtprio=1"}
    assert set(arguments) - {check} - limits == {
        "--network=host",
        "--restart=on-failure",
        "--stop-timeout=10",
        "--read-only",
        "--read-only-tmpfs=false",
        "--cap-drop=ALL",
        "--cap-add=NET_RAW",
        "--cap-add=NET_ADMIN",
        "--security-opt=no-new-privileges:true",
        "--volume=/project/configs:/etc/tidegate:ro",
        "--volume=/run/tidegate:/run/tidegate",
        "--volume=/var/lib/tidegate",
        "--health-interval=disable",
        "--health-timeout=5s",
        "--health-start-period=5s",
        "tidegate:0.1.0",
    }
    assert check.startswith('--health-cmd=["/opt/tidegate/bin/python", "-c", ')


def test_a_command_stands_behind_the_image() -> None:
    assert create_arguments({"command": ["check", "x"], "image": "i:1"}, PROJECT) == ["i:1", "check", "x"]


@pytest.mark.parametrize(
    ("service", "unknown"),
    [
        ({"image": "i:1", "privileged": True}, "privileged"),
        ({"image": "i:1", "healthcheck": {"test": ["CMD", "x"], "retries": 3}}, "retries"),
        ({"image": "i:1", "healthcheck": {"test": ["CMD-SHELL", "x"]}}, "CMD-SHELL"),
    ],
)
def test_what_nobody_translates_is_refused(service: dict[str, object], unknown: str) -> None:
    with pytest.raises(LookupError, match=unknown):
        create_arguments(service, PROJECT)


def test_durations() -> None:
    assert [seconds(text) for text in ("10s", "1m30s", "2h")] == [10, 90, 7200]
    with pytest.raises(ValueError, match="soon"):
        seconds("soon")
