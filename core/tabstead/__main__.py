"""`python -m tabstead` is the command `tabstead`."""

import sys

from tabstead.native.cli import main

if __name__ == "__main__":
    sys.exit(main())
