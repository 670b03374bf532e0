"""The managed identity of a server outside Azure that Azure Arc manages.

Its agent proves that the caller may read a file that only root and the group `himds` can: it names the file in a
challenge, and hands out a token for its content
(https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication).
"""

import os
import re
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urlencode

from gateway.upstream.oauth_token import Login

_DIRECTORY = Path("/var/opt/azcmagent/tokens")
_VERSION = "2020-06-01"
_MAX_KEY = 4096  # bytes
_REALM = re.compile(r'basic\s+realm\s*=\s*"?([^",\s]+)', re.IGNORECASE)
_KEY = re.compile(rb"[\x21-\x7e]+")


def arc_identity(address: str, resource: str, directory: Path = _DIRECTORY) -> Login:
    """The login at the agent's `address`, whose keys are in `directory`."""
    return Login(
        label="The managed identity of Azure Arc",
        remedy="check the agent with `azcmagent show`",
        token_uri=f"{address}?{urlencode({'api-version': _VERSION, 'resource': resource})}",
        proof={"Metadata": "true"},
        challenge=partial(_answer, directory),
    )


def _answer(directory: Path, challenge: str) -> Mapping[str, str]:
    """The header that answers the challenge. Raises ValueError for a file that the agent has no business to name."""
    realm = _REALM.match(challenge.strip())
    if realm is None:
        raise ValueError("its agent asks for no file of a key")
    path = PurePosixPath(realm[1])
    if path.parent != PurePosixPath(directory) or path.suffix != ".key":
        raise ValueError(f"its agent asks for a file outside {directory}, which is not read")
    key = _read(Path(path)).strip()
    if not _KEY.fullmatch(key):
        raise ValueError(f"{path} holds no key")
    return {"Authorization": f"Basic {key.decode('ascii')}"}


def _read(path: Path) -> bytes:
    """The content of a small regular file, which is no link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_KEY:
                raise ValueError(f"{path} holds no key")
            return file.read(_MAX_KEY)
    except PermissionError:
        raise ValueError(f"{path} can't be read; add the gateway's user to the group himds") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
