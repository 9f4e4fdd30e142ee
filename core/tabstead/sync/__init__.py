"""What a client learns of the streams, and waiting for it."""
