"""What people can do with a publish. Every door calls these; each checks the role, the tenant, the state, and says no in words."""
