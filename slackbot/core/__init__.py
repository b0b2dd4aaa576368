"""The pure heart: sessions, what may happen to them, and what follows. Imports the standard library only."""
