"""People: who signs in and how, their sessions, and the members of a workspace."""
