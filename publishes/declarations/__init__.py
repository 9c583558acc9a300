"""A workspace written down in a file: read it, compare it with what is there, do what differs, and write down what is there."""
