"""The parser that a compiled rule set begins with: headers, and what generated code reads out of them."""
