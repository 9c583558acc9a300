"""The one-command environment: real processes, with stand-ins for the slow parts."""
