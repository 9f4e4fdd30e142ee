"""One module per stream: what `initial` tells a client that knows nothing, and `changes` one that has a `since`."""
