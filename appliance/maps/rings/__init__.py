"""Rings of records from programs to whoever listens: ring buffers and perf event arrays."""
