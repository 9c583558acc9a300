"""Facts that decide: rows, situations, places, uses. Engine, verbs and forms read only this of the room."""
