"""Recordings of good traffic, in both directions: real programs in a private network, made anew when wanted.

    python -m tests.recordings [NAME…] [--folder build/recordings]

Each is a pcap of a second or some, as a box in the line would see it: finished frames of at most one MTU. What the
default rules drop of them is what they would cost honest users (tests/configs/test_good_traffic.py).
"""
