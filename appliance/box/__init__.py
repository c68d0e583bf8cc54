"""One YAML document is a box: its configuration, its life from start to end, and its reloads."""
