"""Functions that call each other: how deep they stand on each other, and how much stack they take together.

    main program   96 bytes
      └─ parse    208 bytes     each rounded up to 16; together at most 512, in at most 8 frames
           └─ sum  48 bytes

The limits are the Linux kernel's, and so is the way of counting (check_max_stack_depth of kernel/bpf/verifier.c):
what a function uses is the lowest byte that it, or what it calls, touches of its own stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from appliance.ebpf.isa.instructions import STACK_SIZE
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation

DEEPEST = 8  # frames (MAX_CALL_FRAMES)
ROUNDED_TO = 16
BELOW_TAIL_CALLS = 256  # bytes of stack that may lie below a function which makes tail calls

TOO_DEEP = f"calls functions more than {DEEPEST} deep, or one that calls itself"


@dataclass(slots=True)
class Frames:
    """What the exploration meets. Functions go by their first instruction; the main program's is 0.
    For one thread, that of the proof."""

    active: list[int] = field(default_factory=lambda: [0])
    """The functions that are being explored, the outermost first."""
    in_callback: bool = False
    """Whether one of them was called back by a helper."""
    _used: dict[int, int] = field(default_factory=dict)
    _calls: dict[tuple[int, int], int] = field(default_factory=dict)
    _tail_callers: set[int] = field(default_factory=set)

    def demand_another(self) -> None:
        """There is room for one frame more."""
        if len(self.active) >= DEEPEST:
            raise Violation(Rejection.CALL_DEPTH, TOO_DEEP, "turn the recursion into a loop")

    @contextmanager
    def entered(self, function: int, call: int, *, callback: bool = False) -> Iterator[None]:
        """While the function that the instruction `call` calls is explored."""
        self._calls.setdefault((self.active[-1], function), call)
        self.active.append(function)
        around, self.in_callback = self.in_callback, self.in_callback or callback
        try:
            yield
        finally:
            self.active.pop()
            self.in_callback = around

    def copy(self) -> Frames:
        return Frames(
            self.active.copy(), self.in_callback, self._used.copy(), self._calls.copy(), self._tail_callers.copy()
        )

    def take_back(self, before: Frames) -> None:
        """Whatever was met since that copy was made, in the same function."""
        self._used, self._calls, self._tail_callers = before._used, before._calls, before._tail_callers

    def use_stack(self, depth: int, size: int) -> None:
        """The frame that is `depth` calls deep uses `size` bytes at least."""
        function = self.active[depth]
        self._used[function] = max(self._used.get(function, 0), size)

    def tail_call(self) -> None:
        """The innermost function makes a tail call."""
        self._tail_callers.add(self.active[-1])

    def excess(self, names: Mapping[int, str]) -> tuple[int, Violation] | None:
        """The call that leads to too much stack, and why; None if there is none. `names` are those of functions."""
        below: dict[int, int] = {0: 0}  # the most that lies below each function in this many calls
        for _ in range(DEEPEST):
            following: dict[int, int] = {}
            for (caller, callee), call in self._calls.items():
                if caller not in below:
                    continue
                least = below[caller] + self._rounded(caller)
                following[callee] = max(following.get(callee, 0), least)
                problem = self._problem(callee, least, names.get(callee, f"at instruction {callee}"))
                if problem is not None:
                    return call, problem
            below = following
        return None

    def _problem(self, function: int, below: int, name: str) -> Violation | None:
        together = below + self._rounded(function)
        if together > STACK_SIZE:
            return Violation(
                Rejection.CALL_DEPTH,
                f"calls function `{name}`, whose stack and that of its callers have {together} bytes together: "
                f"{STACK_SIZE} are the limit",
                "keep large variables in a map, or inline the function",
            )
        if function in self._tail_callers and below >= BELOW_TAIL_CALLS:
            return Violation(
                Rejection.TAIL_CALL,
                f"calls function `{name}`, which makes tail calls, above {below} bytes of stack: "
                f"less than {BELOW_TAIL_CALLS} are allowed",
                "make the tail call in the main program, or use less stack there",
            )
        return None

    def _rounded(self, function: int) -> int:
        return -(-self._used.get(function, 0) // ROUNDED_TO) * ROUNDED_TO
