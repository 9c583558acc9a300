"""The catalogue of what is sold: the services and selectors of products and API services. Every door goes through it."""
