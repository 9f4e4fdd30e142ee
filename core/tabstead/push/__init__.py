"""What push rules say of events: notification counts per user and room."""
