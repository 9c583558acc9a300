"""Times, measured against a running system; never part of the tests."""
