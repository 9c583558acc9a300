"""One publish at a time: its snapshot, agents, history and differences. Only this package reads how far each agent is."""
