"""The image, built once for all tests of this folder, and a box of it in a line of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.box import Box
from tests.container.compose import create_arguments, read_service
from tests.container.podman import Podman
from tests.netns import Topology


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    with Podman() as made:
        yield made


@pytest.fixture(scope="session")
def project(podman: Podman) -> Path:
    """The folder that docker-compose.yml would stand in, so that a test may change what it mounts."""
    folder = podman.folder / "project"
    (folder / "configs").mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def container(podman: Podman, project: Path) -> str:
    """The name of a container of the image, with all that docker-compose.yml gives it, not yet started."""
    service = read_service("box")
    podman.build(Path(service["build"]), service["image"])
    podman.create("box", create_arguments(service, project))
    return "box"


@pytest.fixture
def line(podman: Podman, container: str, project: Path) -> Iterator[Box]:
    """A box that serves between two hosts, with configs/ as it is shipped."""
    with (
        Topology(ports=("eth0", "eth1"), ipv6=True, offloads=False) as net,
        Box(podman, container, project, net) as box,
    ):
        yield box
