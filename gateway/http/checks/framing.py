"""Refuses requests whose head is not HTTP/1.x as RFC 9112 defines it, although aiohttp's parser accepts them.

Another server in front could read such a request differently.
"""

import re

from aiohttp import HttpVersion10, HttpVersion11, web

_HOST = re.compile(r"[\w.~!$&'()*+,;=%-]*(?::[0-9]{0,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{0,5})?", re.ASCII)


def is_well_formed(request: web.Request) -> bool:
    """Whether version, `Host` and `Transfer-Encoding` are those of a request that this server understands."""
    version, headers = request.version, request.headers
    if version not in (HttpVersion11, HttpVersion10):
        return False
    host = headers.get("Host")  # aiohttp refuses HTTP/1.1 without it
    if host is not None and not _HOST.fullmatch(host.strip()):
        return False
    coding = headers.get("Transfer-Encoding")
    return coding is None or (version == HttpVersion11 and coding.strip().lower() == "chunked")  # RFC 9112 §6.1
