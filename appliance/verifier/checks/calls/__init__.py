"""What a call of a helper demands of its arguments, and what it gives and leaves behind."""
