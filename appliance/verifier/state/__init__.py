"""What is known at one point of one path: registers, stack and packet; joined, included, widened."""
