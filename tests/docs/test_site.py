"""`make docs` fails at a link that leads nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# What the Makefile calls, from the tools' environment on.
(COMMAND,) = re.findall(r"\.venv/bin/(mkdocs build[^#\n]*)", Path("Makefile").read_text(encoding="utf-8"))


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = COMMAND.split()
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("[rules](docs/rules.md)", ""),
        ("[none](docs/none.md)", "the target is not found"),
        ("[none](docs/rules.md#none)", "does not contain an anchor '#none'"),
    ],
)
def test_a_broken_link_fails(tmp_path: Path, link: str, said: str) -> None:
    (tmp_path / "build/docs/docs").mkdir(parents=True)
    settings = Path("mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(settings[: settings.index("nav:\n")])
    (tmp_path / "build/docs/index.md").write_text(f"# Site\n\n{link}\n")
    (tmp_path / "build/docs/docs/rules.md").write_text("# Rules\n")
    built = build(tmp_path)
    assert (built.returncode != 0) == bool(said), built.stderr
    assert said in built.stderr
