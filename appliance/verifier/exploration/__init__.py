"""States on their way through a program: the worklist, its budget, where they join, where they part."""
