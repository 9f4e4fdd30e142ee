"""The homeserver's edge in the browser, Python's side of it.

Everything here is in the memory snapshot, so importing it touches no JavaScript; what it needs of that is handed to it.
"""
