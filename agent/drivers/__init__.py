"""One module per kind of gateway, and what they share."""
