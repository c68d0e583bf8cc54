"""What only a kernel has: the contracts of its helpers, and which programs of Linux may call which."""
