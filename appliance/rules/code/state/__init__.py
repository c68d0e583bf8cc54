"""What rules remember of frames: buckets, who is known, who is blocked, and the keys of all of it."""
