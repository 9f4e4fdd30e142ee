"""Compaction: what the database no longer needs is found and deleted, a slice at a time, and the file gets shorter.

A slice is one transaction, so a kill at any point costs a slice at most. What a slice deletes, no answer rested on:
every read before and after it tells the same.
"""
