"""Rules as data: which rules can lie in a table, and how a table is laid out for the code that asks it."""
