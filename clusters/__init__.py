"""Clusters and their agents: enrolment, keys, liveness, and the only place that opens a socket to an agent."""
