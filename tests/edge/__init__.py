"""The web's edge: what holds before Django is asked."""
