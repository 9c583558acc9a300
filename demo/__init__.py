"""The one-command environment: the whole system on embedded parts, for trying out and for the tests.

Nothing in production imports it.
"""
