"""Who calls the JSON API, and its endpoints of API tokens."""
