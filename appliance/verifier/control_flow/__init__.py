"""The shape of a function before anything is known of its values: blocks, order, liveness, calls."""
