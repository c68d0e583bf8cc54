"""linux/pidfd.h and linux/kcmp.h: processes and threads by descriptor."""

from __future__ import annotations

import os

PIDFD_THREAD = os.O_EXCL  # a thread that leads no group may be opened, too; since Linux 6.9
KCMP_FILES = 2
