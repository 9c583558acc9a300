"""All tests; `tests.servers` is the pytest plugin that starts what they need."""
