"""What is sold: products, the API services they bundle, and the routes that lead to their upstreams."""
