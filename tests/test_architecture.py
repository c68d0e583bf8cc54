"""No files import each other in a circle: what a reader needs to know of a file ends somewhere.

import-linter holds the floors and rooms (pyproject.toml); inside of a room, this does. Imports for type checkers alone
count: who needs them to read a file needs them to understand it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("appliance", "hooks")

# Circles that are still there, each as the set of its files. Nobody adds one.
KNOWN: set[frozenset[str]] = set()


def modules() -> dict[str, Path]:
    """Every file by the name that it is imported by."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The files that it names in its imports, wherever in the file they stand. A package whose files are named is not
    among them: that Python runs its `__init__` first says nothing of who needs whom."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                around = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                around = around[: len(around) - node.level + 1]
                base = ".".join([*around, *([base] if base else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names} & known.keys()
            yield from inner
            if base in known and len(inner) < len(node.names):
                yield base


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """The strongly connected components of more than one node (Tarjan, 1972), or of one that names itself."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    held: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        held.append(node)
        for following in graph[node]:
            if following not in index:
                visit(following)
                lowest[node] = min(lowest[node], lowest[following])
            elif following in held:
                lowest[node] = min(lowest[node], index[following])
        if lowest[node] == index[node]:
            component = frozenset(held[held.index(node) :])
            del held[held.index(node) :]
            if len(component) > 1 or node in graph[node]:
                found.add(component)

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    known = modules()
    graph = {name: set(imports(name, path, known)) for name, path in known.items()}
    assert sum(map(len, graph.values())) > 1_000
    assert circles(graph) == KNOWN, "break it by where the types belong, or take the row out of KNOWN"


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}}
    assert circles(graph) == {frozenset({"b", "c"}), frozenset({"e"})}
