"""Helpers: what bytecode may call. `prototypes` says what each is, `native` and `python` do it, one per engine."""
