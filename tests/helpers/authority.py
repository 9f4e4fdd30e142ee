"""A certificate authority that only a test knows.

authority = Authority(tmp_path)
authority.file                          # its certificate, in PEM
authority.issue("localhost")            # two files: a certificate with its chain, and its key
authority.serving("127.0.0.1")          # an SSLContext to serve with
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Issued:
    certificate: Path
    key: Path


class Authority:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, *names: str) -> Issued:
        """A certificate for these host names and addresses."""
        issued = self._ca.issue_cert(*names)
        stem = names[0].replace(":", "_")
        files = Issued(certificate=self._folder / f"{stem}.pem", key=self._folder / f"{stem}.key")
        files.key.write_bytes(issued.private_key_pem.bytes())
        files.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        return files

    def serving(self, *names: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*names).configure_cert(context)
        return context

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.file)
