"""Runs the documentation's services, calls them as many callers do, and counts what became of each call."""
