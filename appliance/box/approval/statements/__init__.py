"""What is signed: the form of each value, what is said of a build, and the one text of it."""
