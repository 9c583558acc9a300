"""What pages, API and files take of people about a publish, checked once for all of them."""
