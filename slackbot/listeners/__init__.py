"""Bolt in: each listener checks, parses, calls the engine and acknowledges."""
