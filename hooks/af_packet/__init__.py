"""Frames by packet sockets: the rings of an interface, and what tests and benchmarks send and count."""
