"""The program that stands beside a gateway: it applies specs, proves them, and reports what is really served."""
