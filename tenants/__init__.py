"""Who somebody is: users, tenants, roles, API tokens, and the one rule of scoping."""
