"""Recordings that are not on this disk: fetched from where the caller allows it, and without the key."""
