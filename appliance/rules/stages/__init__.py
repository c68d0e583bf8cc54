"""Stages: functions in C that are linked into a rule set's object (programs/include/stage.h).

contract    struct frame, what a stage gets
bitcode     a file of LLVM bitcode, and the stage in it
object_file a file of eBPF, whose program is called instead
"""
