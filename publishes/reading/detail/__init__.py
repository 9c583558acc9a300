"""One publish: its snapshot, agents, history, differences. Only this package reads a publish's agents."""
