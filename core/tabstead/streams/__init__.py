"""Positions, the tokens made of them, and the notifier that carries a position, never data."""
