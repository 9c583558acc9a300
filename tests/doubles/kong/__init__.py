"""A stand-in for Kong 3.9.3 (open source): an Admin API and a proxy that really serves.

`tests/agent/drivers/kong/test_replay.py` holds it to exchanges recorded from a real one.

What goes beyond those records is marked in the code with "Not in the records".
"""
