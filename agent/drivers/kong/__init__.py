"""The Kong driver."""
