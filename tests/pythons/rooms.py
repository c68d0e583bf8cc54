"""Which test files stand for a room: the whole suite is for one Python, the others are asked for what differs."""

from __future__ import annotations

from pathlib import Path

FOLDERS = ("appliance", "hooks", "integration")
MOST = 2  # files of one folder


def some_files(tests: Path) -> list[Path]:
    """Files of every room's folder, spread evenly over its alphabet."""
    files = [path for name in FOLDERS for path in sorted((tests / name).rglob("test_*.py"))]
    rooms: dict[Path, list[Path]] = {}
    for path in files:
        rooms.setdefault(path.parent, []).append(path)
    return [path for room in rooms.values() for path in _spread(room)]


def _spread(files: list[Path]) -> list[Path]:
    if len(files) <= MOST:
        return files
    return [files[number * (len(files) - 1) // (MOST - 1)] for number in range(MOST)]
