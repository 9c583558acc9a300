"""Many publishes at once: filters and conditions, the overview, boards. Only this package says which publishes a list shows."""
