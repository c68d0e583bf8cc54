"""Verified bytecode to native code.

emit_program    one program, into a module that somebody else completes
emit_run        the smallest loop around it
Collection      everything an object holds, loaded: maps opened, programs verified, one module compiled
"""
