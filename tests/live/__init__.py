"""Records how a service answers the whole cycle of a voice, and compares that with the emulator."""
