"""Many publishes at once: conditions, overview, boards. Only here it is decided what a list shows."""
