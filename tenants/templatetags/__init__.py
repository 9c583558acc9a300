"""Template tags of tenants: forms that name the workspace they were made for."""
