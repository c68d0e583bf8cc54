"""The compiler: a rule set that was read becomes LLVM IR, and that a portable eBPF object."""
