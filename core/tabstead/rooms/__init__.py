"""Rooms: sending, receiving and reading events by the rules of `tabstead.protocol`.

Each function takes the open transaction and does its whole work in it: read, write once, then tell.
"""
