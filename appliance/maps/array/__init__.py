"""Maps under the indices 0, 1, 2 …: arrays, per-CPU arrays, arrays of programs, and of targets to redirect to."""
