"""What a process takes from itself, for good, before it meets what it must not trust."""
