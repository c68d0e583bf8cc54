"""The file around the bytecode: sections, symbols, relocations, and the functions in them."""
