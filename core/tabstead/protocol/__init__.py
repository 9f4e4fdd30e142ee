"""The rules of Matrix as pure functions on values.

No clock, network, randomness or storage: what a function needs comes in, what it found goes out.
Verdicts are values; only malformed input raises. Nothing here recurses over input.
"""
