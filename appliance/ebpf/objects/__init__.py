"""An object file becomes a CollectionSpec: maps, variables, externs, relocations, and where programs attach."""
