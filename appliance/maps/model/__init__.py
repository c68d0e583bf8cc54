"""The same maps in plain Python: the interpreter's maps, and the oracle that the native ones are tested against."""
