"""Base URLs as a wire format's paths expect them: people write the version or leave it out."""

from collections.abc import Callable, Mapping

from yarl import URL


def _without_version(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1")


def _with_version(url: str) -> str:
    return f"{url.rstrip('/')}/v1beta" if URL(url).path.strip("/") == "" else url


_FORMS: Mapping[str, Callable[[str], str]] = {
    "anthropic-messages": _without_version,  # its path begins with /v1
    "ollama": _without_version,  # /v1 is its OpenAI-compatible side
    "google-generative-ai": _with_version,
}


def base_url_for(api: str, url: str) -> str:
    """The configured `url`, without a version that the format's paths have, or with the one that they lack."""
    form = _FORMS.get(api)
    return form(url) if form and url else url
