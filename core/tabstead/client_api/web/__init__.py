"""Pages for people: signing in, consent, the account. Plain HTML without scripts; nothing ambient, so no cookie.

What a person has done so far is a ticket, whose secret goes from page to page in a hidden field; it changes with
signing in. So no other site can continue what somebody began here, in the worker as well, where cookies don't exist.
"""
