"""The pages of products and API services."""
