"""The breaking point: the highest rate of attack at which good requests are answered, for the box and its peers."""
