"""What is left of a state that may have changed over and over: whatever a change touched is known no more.

A loop's iteration that finds the state as an earlier iteration found it needs no second look. To be sure that this
happens, what still changes after a few iterations becomes any number, or nothing that may be read; each part can do so
only once.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.verifier.domains import scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.values import Pointer, Value
from appliance.verifier.state.join import join
from appliance.verifier.state.stack import Cell
from appliance.verifier.state.state import State


def widen(old: State, new: State, fresh: Callable[[], int]) -> State:
    """A state that includes both, and knows nothing of what differs between them. `fresh` gives names for it."""
    joined = join(old, new, fresh)
    joined.registers = [
        _stable(before, after, 8) for before, after in zip(old.registers, joined.registers, strict=True)
    ]
    stack = {}
    for offset, cell in joined.stack.items():
        before = old.stack.get(offset)
        value = _stable(
            before.value if before is not None and before.size == cell.size else None, cell.value, cell.size
        )
        if value is not None:
            stack[offset] = Cell(cell.size, value)
    joined.stack = stack
    joined.outside = {name: length for name, length in joined.outside.items() if old.outside.get(name) == length}
    return joined


def _stable(before: Value | None, after: Value | None, size: int) -> Value | None:
    """`after` if it is what was there before, else as much as is safe to say of `size` bytes."""
    if after is None or after == before:
        return after
    if type(after) is Scalar:
        return scalar.unknown(size)
    assert type(after) is Pointer
    return after if type(before) is Pointer and before._replace(id=after.id, owner=after.owner) == after else None
