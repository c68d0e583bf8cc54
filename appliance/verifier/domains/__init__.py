"""What may be known of one value: tristate numbers, intervals, scalars, links between them, pointers."""
