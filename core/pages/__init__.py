"""What every page stands on: the frame, lists, rows, live parts, forms that were sent, wizards. Knows nothing of the domain."""
