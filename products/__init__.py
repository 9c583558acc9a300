"""Products, their API services, and the routes to the upstreams."""
