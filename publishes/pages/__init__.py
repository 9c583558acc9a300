"""The pages of publishes, of clusters as a provider sees them, and the wizard."""
