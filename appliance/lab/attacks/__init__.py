"""The lab's attacks: kinds by name, what their frames look like, in which shares they come, and what sends them."""
