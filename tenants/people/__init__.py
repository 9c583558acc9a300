"""People: sign-in, sessions, and the members and invitations of a workspace."""
