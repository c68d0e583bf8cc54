"""What the interpreter finds that a verified program never does."""

from __future__ import annotations


class Violation(Exception):
    """Something that a verified program never does. The interpreter adds where, and raises it on as a Fault."""

    def __init__(self, what: str, region: str | None = None, offset: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.region = region
        self.offset = offset
