"""Base URLs as a wire format's paths expect them: people write the version or leave it out, or the whole address of the
endpoint, as the portals of providers show it.
"""

from yarl import URL

from gateway.wire import UPSTREAMS


def base_url_for(api: str, url: str) -> str:
    """The configured `url`, without a path or version that the format adds, or with the version that it lacks."""
    format_ = UPSTREAMS.get(api)
    if format_ is None or not url:
        return url
    for path in format_.paths():
        url = _without(path, url)
    version = format_.base_version
    if version is None:
        return url
    if version:
        return f"{url.rstrip('/')}/{version}" if URL(url).path.strip("/") == "" else url
    for path in format_.paths():
        url = _without(f"/{path.split('/')[1]}", url)
    return _without("/v1", url).rstrip("/")


def _without(end: str, url: str) -> str:
    """The address without the end of its path; a query stays."""
    path, mark, query = url.partition("?")
    path = path.rstrip("/")
    return path.removesuffix(end) + mark + query if path.endswith(end) else url
