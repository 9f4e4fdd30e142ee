"""What an import from Dendrite reads and keeps book in: the one place that knows Dendrite's tables.

`source` reads the roomserver's database, `accounts_source` those of accounts, devices and keys; neither writes there.
`progress` keeps in our database how far the import got. The import itself is `tabstead.native.dendrite_import`.
"""
