"""Sets and tables in an object: their maps, and the code that asks them."""
