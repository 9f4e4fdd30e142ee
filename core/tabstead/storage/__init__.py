"""SQLite and nothing else: the only place that contains SQL.

One module per table group, with the verbs select_, insert_, update_, delete_. Every function takes the open
transaction `db` and is synchronous; it may run more than once, so it changes nothing but `db`.
"""
