"""The one way that every request goes: attempts, retries, deadlines, events, and what a failure means."""
