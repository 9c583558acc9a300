"""One run of the agent: its parts, and its own door for commands."""
