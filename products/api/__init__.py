"""The JSON API of products and API services."""
