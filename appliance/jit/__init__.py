"""Verified bytecode to native code.

Collection      everything an object holds, loaded: maps opened, programs proved, one module compiled
emit_program    one program, into a module that somebody else completes
emit_run        the smallest loop around it
run_raw         bytecode without a hook, once
"""
