"""Fetching a package of the npm registry, checked against its hash."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import tarfile
import urllib.error
import urllib.request

from keras_depthseg.errors import UserError

REGISTRY = "https://registry.npmjs.org"


@dataclasses.dataclass(frozen=True)
class Package:
    """A version of a package.

    Attributes:
        name: with its scope, e.g. `@pmndrs/assets`.
        version: e.g. `1.7.0`.
        sha512: of its tarball in base 64, as the registry's `dist.integrity` gives it.
    """

    name: str
    version: str
    sha512: str

    def fetch(self, registry: str = REGISTRY) -> dict[str, bytes]:
        """Download it; return its files by their paths inside.

        Args:
            registry: the address that package names are appended to.

        Raises:
            UserError: it cannot be fetched, or its bytes are others.
        """
        base = self.name.rpartition("/")[2]
        url = f"{registry}/{self.name}/-/{base}-{self.version}.tgz"
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                data = response.read()
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise UserError(
                f"{url}: it cannot be fetched ({reason}); expected the package's "
                "tarball. Check the network, or give another `registry`."
            ) from error
        found = base64.b64encode(hashlib.sha512(data).digest()).decode()
        if found != self.sha512:
            raise UserError(
                f"{url}: received {len(data):,} bytes with SHA-512 {found}; expected "
                f"{self.sha512}. Fetch it again, or from another `registry`."
            )
        return _files(data)


def _files(tarball: bytes) -> dict[str, bytes]:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                # All lies in one folder, mostly called `package`.
                files[member.name.partition("/")[2]] = content.read()
    return files
