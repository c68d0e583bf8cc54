"""`python -m appliance.box.proving WORK`: a zygote, whose asker is at the other end of standard input.

WORK is `module:function`, what its provers do; whoever starts it says so, and nobody else.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys

from appliance.box.proving.zygote import Zygote


def main() -> None:
    """Serve until the asker is gone."""
    module, _, function = sys.argv[1].partition(":")
    work = getattr(importlib.import_module(module), function)
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    Zygote(control, work).serve()


if __name__ == "__main__":
    main()
