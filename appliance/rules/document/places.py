"""Where the nodes of a YAML document stand: a tree beside the data, of the same shape."""

from __future__ import annotations

from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]
Position = tuple[int, int]  # line and column, both from 0, as YAML's marks count


@dataclass(slots=True)
class Places:
    """A mapping's or a list's own place, its keys' places, and what stands inside: by key, or by number in a list.

    A scalar inside is its position alone: a document of ten thousand rules has a hundred thousand of them.
    Any thread, once it is built.
    """

    at: Position
    keys: dict[str, Position] = field(default_factory=dict)
    inside: dict[str | int, Places | Position] = field(default_factory=dict)

    def nearest(self, path: KeyPath, *, key: bool = False) -> Position:
        """The position of the node at `path` (of its key, if asked and there), or of the nearest one around it."""
        node: Places | Position = self
        for depth, step in enumerate(path, 1):
            if not isinstance(node, Places) or step not in node.inside:
                break
            if key and depth == len(path) and isinstance(step, str):
                return node.keys[step]
            node = node.inside[step]
        return node.at if isinstance(node, Places) else node

    def has(self, path: KeyPath) -> bool:
        """Whether there is a node at that path."""
        node: Places | Position = self
        for step in path:
            if not isinstance(node, Places) or step not in node.inside:
                return False
            node = node.inside[step]
        return True
