"""The catalogue: services and selectors of products and API services. Every door uses it."""
