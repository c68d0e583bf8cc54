"""The keeper of the key: a process that holds it and signs by it, how it is asked, and what it gave up for that."""
