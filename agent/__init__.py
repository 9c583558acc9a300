"""The program beside a gateway: it applies specs, proves them, and reports what callers really meet."""
