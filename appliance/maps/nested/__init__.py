"""Maps of maps."""
