"""C that is linked into an object, and where its programs call it."""
