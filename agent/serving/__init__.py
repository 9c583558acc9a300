"""One run of the agent: its parts, and its server for commands."""
