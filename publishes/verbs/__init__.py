"""What people can do with a publish. Every door calls these; each checks tenant, role and state."""
