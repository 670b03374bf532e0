"""Base URLs as a wire format's paths expect them: people write the version or leave it out."""

from yarl import URL

from gateway.wire import UPSTREAMS


def base_url_for(api: str, url: str) -> str:
    """The configured `url`, without a version that the format's paths have, or with the one that they lack."""
    format_ = UPSTREAMS.get(api)
    version = format_.base_version if format_ is not None else None
    if version is None or not url:
        return url
    if not version:
        return url.rstrip("/").removesuffix("/v1")
    return f"{url.rstrip('/')}/{version}" if URL(url).path.strip("/") == "" else url
