"""struct frame says the same in C and in Python."""

from __future__ import annotations

import ctypes
from pathlib import Path

from appliance.rules.stages.contract import FRAME, Frame
from tests.capabilities import requires
from tests.stages import build_stage

# members of the structure in C, in order, where they aren't called as the parser's fields are
_IN_C = {
    "source_high": "source.high",
    "source_low": "source.low",
    "destination_high": "destination.high",
    "destination_low": "destination.low",
    "tcp.flags": "tcp_flags",
    "tcp.seq_raw": "tcp_sequence",
    "tcp.ack_raw": "tcp_acknowledgement",
    "tcp.window": "tcp_window",
    "stage_monitored": "monitored",
    "stage.mark": "mark",
    "ct.state": "ct_state",
    "ct.commit": "ct_commit",
}


@requires("clang")
def test_c_and_python_lay_a_frame_out_alike(tmp_path: Path) -> None:
    """The compiler itself says so: each member's offset and size are asserted where it reads the header."""
    lines = ['#include "stage.h"', f'_Static_assert(sizeof(struct frame) == {ctypes.sizeof(Frame)}, "size");']
    for name, type_ in FRAME:
        member = _IN_C.get(name, name)
        offset = getattr(Frame, name).offset
        lines.append(f'_Static_assert(__builtin_offsetof(struct frame, {member}) == {offset}, "{name}");')
        size = f"sizeof(((struct frame *)0)->{member})"
        lines.append(f'_Static_assert({size} == {ctypes.sizeof(type_)}, "{name}");')
    source = tmp_path / "contract.c"
    source.write_text("\n".join(lines) + "\n")
    assert build_stage(source).stat().st_size > 0
