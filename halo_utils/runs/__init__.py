"""What notebooks hand to each other, and the sentences they print about it."""
