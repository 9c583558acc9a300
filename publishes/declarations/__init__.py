"""A workspace as a file: `apply` reads it, compares it and does what differs; `export` writes it."""
