"""Users, tenants, roles, API tokens, and the one rule of tenant scoping."""
