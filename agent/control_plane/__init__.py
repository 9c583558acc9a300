"""All talk with the control plane that the agent begins: enrolment, heartbeats, results, keys."""
