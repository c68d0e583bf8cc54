"""The systemd unit is accepted by systemd, and gives away no more than the box needs."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.box.approval.configured import STATE_DIRECTORY
from appliance.box.supervisor import HUNG_SECONDS

UNIT = Path("configs/tidegate.service")
PROGRAM = "/opt/tidegate/bin/tidegate"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unit as it would be on a machine where the program lies where this test's Python lies."""
    text = UNIT.read_text()
    assert f"ExecStart={PROGRAM} run /etc/tidegate/tidegate.yaml" in text
    path = tmp_path_factory.mktemp("unit") / UNIT.name
    path.write_text(text.replace(PROGRAM, str(Path(sys.executable).with_name("tidegate"))))
    return path


def analyze(*arguments: str) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_accepts_it(installed: Path) -> None:
    assert analyze("verify", "--man=no", str(installed)) == ""


def test_systemd_finds_it_hardened(installed: Path) -> None:
    score = re.search(r"exposure level for \S+: ([\d.]+)", analyze("security", "--offline=yes", str(installed)))
    assert score is not None
    assert float(score[1]) < 3.0  # systemd calls that "OK"; 9.6 is a unit without any protection


def test_it_has_the_privileges_of_the_container() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert float(service["WatchdogSec"]) > 2 * HUNG_SECONDS  # the box ends by itself first
    assert service["RestartPreventExitStatus"] == "1"  # a worker that failed ends it with 2
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert set(service["CapabilityBoundingSet"].split()) == {"CAP_NET_RAW", "CAP_NET_ADMIN"}
    assert service["RuntimeDirectory"] == "tidegate"  # hooks.interfaces.saved_state.STATE_DIRECTORY
    assert service["StateDirectory"] == STATE_DIRECTORY.name
    assert STATE_DIRECTORY.parent == Path("/var/lib")  # where systemd makes it
    assert service["StateDirectoryMode"] == "0700"
