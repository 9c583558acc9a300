"""The agents' door to publishes: heartbeat, report, specs, results."""
