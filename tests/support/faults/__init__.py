"""A server that breaks each exchange in one way, and what must come of it."""
