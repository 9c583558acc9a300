"""The JSON API of publishes: one module with a `router` per kind of question; the project assembles them."""
