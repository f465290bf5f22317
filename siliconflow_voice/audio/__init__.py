"""Audio: what it comes from, what it is, and what may be refused of it before it is sent."""
