"""The files that are not code and that the installed box needs: rule sets, lists, examples, pages for readers.

People edit them where they look for them, in `configs/` and `docs/` of a checkout; the folders here are links to those.
setuptools follows the links, so that a wheel holds the files themselves in the same places: one path finds them in a
checkout, in an editable install and in a wheel (docs/decisions/0020-files-that-ship-are-links.md).

    appliance/shipped/configs           ──> configs/
    appliance/shipped/docs/rejections   ──> docs/rejections/
    appliance/shipped/programs/stages   ──> programs/stages/
    appliance/shipped/programs/include  ──> programs/include/

Rule sets name each other and their lists by relative paths, so they must be files of a folder: a package that is
imported out of a zip archive has none.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from appliance.errors import CannotRun

__all__ = ["DEFAULT_RULES", "shipped"]

DEFAULT_RULES = "configs/rulesets/default.yaml"


def shipped(name: str) -> Path:
    """A file or folder by its path in a checkout, as `configs/rulesets/default.yaml`. Raises CannotRun without it."""
    path = Path(str(files(__name__)), name)
    if not path.exists():
        raise CannotRun(f"{name} is missing from this installation", where=str(path), hint="install tidegate anew")
    return path
