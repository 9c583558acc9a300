"""The agent: its protocol, its single writer, and its drivers against real gateways.

Nothing here needs Django.
"""
