"""A rule set's YAML, read: its schema, where everything stood, and what it means."""
