"""Trying again: when, how long after, and how many at once."""
