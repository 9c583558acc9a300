"""What pages and API take of people about a publish: where it goes, and its settings. Each is checked here, once for both."""
