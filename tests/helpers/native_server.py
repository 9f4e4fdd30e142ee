"""A `tabstead serve` as a child process, on a free port of the loopback interface."""

import re
import subprocess
import sys
from pathlib import Path


class NativeServer:
    """A running child process, and where it listens."""

    def __init__(self, configuration: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tabstead", "serve", "--config", str(configuration)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.read_url()

    def read_url(self) -> str:
        """Where it says it listens, in its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (https?://\S+)\n", line)
        assert match, self.process.communicate()[1] or line
        return match[1]

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.partition("://")[2].rpartition(":")
        return host, int(port)
