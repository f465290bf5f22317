"""Kills real runs at any moment, starts them again, and compares what the service has with the manifest."""
