"""CO-RE: compile once, run everywhere. What a program asks of its types, and the answers written into it."""
