"""When an access to memory is allowed: one rule for each kind of pointer."""
