"""The heart: publishes, the operations that change them, and the proof of what is really live."""
