"""Labels, sentences and tones of publishes, agents and clusters. Texts read no database."""
