from collections.abc import Callable

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.access.client import ClientResolver


@pytest.fixture(scope="session")
def headers() -> Callable[..., CIMultiDictProxy[str]]:
    """Creates request headers from pairs, as the HTTP server passes them."""

    def make(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
        return CIMultiDictProxy(CIMultiDict(pairs))

    return make


@pytest.fixture
def direct(headers):
    """The client of a peer without proxy headers."""
    return lambda peer, *trusted: ClientResolver(trusted).resolve(peer, headers())
