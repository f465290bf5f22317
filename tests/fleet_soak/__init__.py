"""Kills workers of a fleet at any moment, restarts its database, and compares what the service has."""
