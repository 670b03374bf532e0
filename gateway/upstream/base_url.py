"""Base URLs as a wire format's paths expect them: people write the version or leave it out, or the whole address of the
endpoint, as the portals of providers show it.
"""

from collections.abc import Callable, Mapping

from yarl import URL


def _without_version(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1")


def _with_version(version: str) -> Callable[[str], str]:
    return lambda url: f"{url.rstrip('/')}/{version}" if URL(url).path.strip("/") == "" else url


_FORMS: Mapping[str, Callable[[str], str]] = {
    "anthropic-messages": _without_version,  # its path begins with /v1
    "ollama": _without_version,  # /v1 is its OpenAI-compatible side
    "google-generative-ai": _with_version("v1beta"),
    "google-vertex": _with_version("v1"),
}
_ENDPOINTS: Mapping[str, tuple[str, ...]] = {
    "openai-completions": ("/chat/completions",),
    "openai-responses": ("/responses",),
    "azure-openai-responses": ("/responses",),
    "anthropic-messages": ("/messages",),
    "ollama": ("/api/chat", "/api"),
}
"""The paths of a format, which its requests add to the base URL."""


def base_url_for(api: str, url: str) -> str:
    """The configured `url`, without a path or version that the format adds, or with the version that it lacks."""
    base, mark, query = url.partition("?")
    for path in _ENDPOINTS.get(api, ()):
        if base.rstrip("/").endswith(path):
            url = base.rstrip("/").removesuffix(path) + mark + query
            break
    form = _FORMS.get(api)
    return form(url) if form and url else url
