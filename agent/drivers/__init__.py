"""One package per kind of gateway, and the code that all drivers share."""
