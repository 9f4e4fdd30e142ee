"""One module per stream: `initial` and `changes(after, up_to)`."""
