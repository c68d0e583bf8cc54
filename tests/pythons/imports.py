"""Import every module of the box and of the ground floor: `python -W error -m tests.pythons.imports`."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import appliance
import hooks

LEAST = 300  # modules; fewer means that packages were not walked


def main() -> None:
    print(f"{len(import_all())} modules imported by Python {sys.version.split()[0]}")


def import_all() -> list[str]:
    """Import them; their names."""
    names = [
        module.name
        for package in (appliance, hooks)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=_refuse)
        if not module.name.endswith(".__main__")
    ]
    if len(names) < LEAST:
        raise SystemExit(f"only {len(names)} modules were found")
    for name in names:
        importlib.import_module(name)
    return names


def _refuse(name: str) -> None:
    raise SystemExit(f"{name} can't be imported: {sys.exc_info()[1]}")


if __name__ == "__main__":
    main()
