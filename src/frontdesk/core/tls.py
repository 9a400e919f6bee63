"""TLS towards the servers that frontdesk uses: always verified, by files or by what the system trusts."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from frontdesk.core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """In PEM. `ca_file`: who vouches for the server, in place of the system's own; the others: who we are."""

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def given(self) -> bool:
        return any((self.ca_file, self.certificate, self.key))

    def context(self, setting: str) -> ssl.SSLContext:
        """Certificate and host name are checked. Raises SettingsError that names the file; `setting` goes before."""
        for name, path in (("CA_FILE", self.ca_file), ("CERTIFICATE", self.certificate), ("KEY", self.key)):
            if path is not None and not path.is_file():
                raise SettingsError(f"{setting}{name}: there is no file {path}.")
        if (self.certificate is None) != (self.key is None):
            raise SettingsError(f"{setting}CERTIFICATE and {setting}KEY: one needs the other.")
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(f"{setting}CA_FILE: {self.ca_file} can't be read as certificates.") from error
        if self.certificate is not None and self.key is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, password=lambda: "")  # never asks the terminal
            except (ssl.SSLError, OSError, ValueError) as error:
                raise SettingsError(f"{setting}CERTIFICATE: {self.certificate} and its key don't fit.") from error
        return context
