"""Labels, sentences and tones of publishes, agents and clusters. Reads no database: it gets what the other packages read."""
