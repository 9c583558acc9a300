"""One publish: its snapshot, agents, history, differences. Only here the agents of a publish are read."""
