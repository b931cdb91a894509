"""What the kernel runs now: programs, maps and links of the whole system, and statistics of their runs."""
