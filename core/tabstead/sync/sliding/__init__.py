"""Simplified sliding sync (MSC4186): the rooms that a client asks for, when it asks for them, and what is new in them.

A request names *lists*, windows into the user's rooms by their activity, and *subscriptions*, rooms by name. What a
client was told is kept in the database, so a token goes on in any life of the server, and may come twice.
"""
