"""Talk with other servers: finding them, asking them, hearing from them.

What is known of them and what they still have to be told is in storage, so that a server that was killed goes on where
it was. No function here waits for another server while a transaction is open.
"""
