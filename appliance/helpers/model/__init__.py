"""The helpers in plain Python, for the interpreter: the oracle that native code is tested against."""
