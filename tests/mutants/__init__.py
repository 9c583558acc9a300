"""Planted bugs: each breaks one rule of the code, and a test has to notice. `make mutants` plants them."""
