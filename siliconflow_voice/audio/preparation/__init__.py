"""Preparation: any recording made fit for a reference voice, with PyAV, of the extra ``prepare``."""
