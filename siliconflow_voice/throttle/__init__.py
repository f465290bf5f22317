"""Holds an account's requests to what the service accepts: pure, but for the gate."""
