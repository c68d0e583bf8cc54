"""`python -m appliance.box.proving WORK`: a zygote, whose asker is at the other end of standard input.

WORK is `module:function`, what its provers do; whoever starts it says so, and nobody else.
"""

from __future__ import annotations

import os
import socket
import sys

from appliance.box.proving.zygote import become_zygote


def main() -> None:
    """Serve until the asker is gone."""
    become_zygote(socket.socket(fileno=os.dup(0)), sys.argv[1])


if __name__ == "__main__":
    main()
