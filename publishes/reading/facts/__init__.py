"""What decides: rows, situations, places, and what is in use. Of this room, engine, verbs and forms read only this package."""
