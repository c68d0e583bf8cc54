"""LPM tries: values under prefixes."""
