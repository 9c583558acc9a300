"""What protects: secrets and sessions at rest, the bounds of what comes in, and the one guarded way out to hosts that somebody named."""
