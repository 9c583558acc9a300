"""Planted bugs: each breaks one rule of the code, and a test has to notice. `python -m tests.mutants`, or `make mutants`."""
