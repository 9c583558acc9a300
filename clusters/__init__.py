"""Clusters and their agents: enrolment, keys, liveness, and the only client of agents."""
