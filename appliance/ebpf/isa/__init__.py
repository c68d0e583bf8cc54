"""Instructions (RFC 9669): their types, their bits, and how they are spelled in bytes and in text."""
