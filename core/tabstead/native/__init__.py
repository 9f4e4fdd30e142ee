"""The native server: the same core on CPython, over TCP, with its database in a file.

Only this folder knows ASGI, TOML, Pillow and the operating system's signals.
"""
