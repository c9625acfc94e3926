"""Guards: each judges one reading and holds no state. One guard a file."""
