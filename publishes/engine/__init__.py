"""The engine: from a wanted state to agents that have proved it.

The only room that writes statuses, phases and generations.
"""
