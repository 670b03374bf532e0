"""Why a configured row can't be used, at the path in the file: wire format, login, address, a header that can't be
sent. Values are never quoted, because any of them may be a secret.
"""

from collections.abc import Iterator

from gateway.config.problems import Problem, join
from gateway.config.providers import ProviderConfig
from gateway.config.shape import nearest
from gateway.upstream.aws import SIGNED
from gateway.upstream.catalog import REFUSED, Row
from gateway.upstream.http import DEFAULTS
from gateway.upstream.provider import Provider
from gateway.upstream.transport.endpoint import endpoint
from gateway.wire import UPSTREAMS
from gateway.wire.google_generative import VERTEX

_SUBSCRIPTION = "sk-ant-oat"  # how a token of a Claude subscription begins


def unsupported(path: str, config: ProviderConfig, row: Row | None) -> Iterator[Problem]:
    """Settings that the gateway would ignore, so that it would send prompts differently than configured. `row` is the
    catalogue's, for what the configured one leaves out.
    """
    apis = [(path, config.api), *((join(f"{path}.models", i), model.api) for i, model in enumerate(config.models))]
    for where, api in apis:
        if api is not None and api not in UPSTREAMS:
            yield Problem(f"{where}.api", no_format(api))
    if config.api is None and not config.base_url and row is not None and not row.served:
        yield Problem(f"{path}.api", no_format(row.api))
    signed = (config.api or (row.api if row is not None else "")) in SIGNED
    if config.auth == "oauth" or (config.auth == "aws-sdk" and not signed):
        yield Problem(f"{path}.auth", f'"{config.auth}" logins are not supported; use an API key')
    yield from _incomplete_auth(f"{path}.request.auth", config)
    key = config.api_key.get_secret_value() if config.api_key else ""
    if key.startswith(_SUBSCRIPTION):
        text = "is the token of a Claude subscription, which only Anthropic's own clients may use"
        yield Problem(f"{path}.apiKey", f"{text}; use an API key from the Anthropic console")


def _incomplete_auth(path: str, config: ProviderConfig) -> Iterator[Problem]:
    auth = config.request.auth
    if auth.mode == "authorization-bearer" and (auth.token is None or not auth.token.get_secret_value()):
        yield Problem(f"{path}.token", 'is missing, while mode is "authorization-bearer"; set it')
    if auth.mode == "header" and not auth.header_name:
        yield Problem(f"{path}.headerName", 'is missing, while mode is "header"; set it')
    if auth.mode == "header" and (auth.value is None or not auth.value.get_secret_value()):
        yield Problem(f"{path}.value", 'is missing, while mode is "header"; set it')


OTHER_FORMATS = {
    "openai-chatgpt-responses": "openai-codex",
    "openai-codex-responses": "openai-codex",
    "github-copilot": "github-copilot",
    "pi-messages": "radius",
}
"""Wire formats of OpenClaw that only one provider has, with a login → that provider's id, which is refused by name."""


def no_format(api: str) -> str:
    """Why a wire format can't be used."""
    if api in OTHER_FORMATS:
        return f"the wire format {api!r} is not served: {REFUSED[OTHER_FORMATS[api]]}"
    served = ", ".join(UPSTREAMS)
    near = nearest(api, UPSTREAMS)
    return f"there is no wire format {api!r}; " + (f"did you mean {near!r}?" if near else f"use one of: {served}")


def unreachable(path: str, name: str, config: ProviderConfig, row: Row | None) -> Iterator[Problem]:
    """Base URLs that are missing or malformed. They are checked before anything parses them."""
    every_model_has_one = bool(config.models) and all(model.base_url for model in config.models)
    if not config.base_url and not (row and row.base_url) and not every_model_has_one:
        yield Problem(f"{path}.baseUrl", _no_address(name, row))
    urls = [(path, config.base_url)]
    urls += [(join(f"{path}.models", index), model.base_url) for index, model in enumerate(config.models)]
    for where, url in urls:
        if url and not _is_address(url):
            yield Problem(
                f"{where}.baseUrl", "is not an http or https URL with a host; write one such as https://host/v1"
            )


def _no_address(name: str, row: Row | None) -> str:
    if row is not None:
        return f"is missing, and every customer of {name!r} has an own one; write {row.address}"
    if name in REFUSED:
        return f"is missing; {REFUSED[name]}"
    return "is missing; only built-in providers have a default"


_PLACEHOLDER = frozenset("<>{}")
"""What no URL has, but a text that still has to be replaced: `https://<workspace>.example`."""


def _is_address(url: str) -> bool:
    try:
        endpoint(url, {}, DEFAULTS)
    except ValueError:
        return False
    return not any(character.isspace() or character in _PLACEHOLDER for character in url)


def unsendable(path: str, provider: Provider) -> Iterator[Problem]:
    """Keys and headers that can't be part of an HTTP request."""
    indices = {model_id: index for index, model_id in enumerate(provider.models)}
    rows = [(path, provider)] if provider.base_url else []
    rows += [(join(f"{path}.models", indices[model_id]), row) for model_id, row in provider.model_rows.items()]
    for where, row in rows:
        for keyed in (row, *row.others):
            try:
                for wire_path in UPSTREAMS[keyed.wire].paths() or ("",):
                    keyed.endpoint(wire_path)
            except ValueError as error:
                yield Problem(_blamed(where, path, keyed), str(error))


def unsigned(path: str, provider: Provider) -> Iterator[Problem]:
    """A row whose requests would be sent without a credential, though their format needs one."""
    has_header = any(name.lower() == "authorization" for name in provider.headers)
    if provider.wire in SIGNED and not (provider.api_key or provider.signer or has_header):
        text = "there is no AWS credential; set AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        yield Problem(f"{path}.apiKey", f"{text}, or AWS_PROFILE")


def without_project(path: str, provider: Provider) -> Iterator[Problem]:
    """A row of Vertex AI that is called with a token, at an address that only API keys have."""
    if provider.wire == VERTEX and provider.signer is not None and "/projects/" not in provider.base_url:
        address = "https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION"
        yield Problem(
            f"{path}.baseUrl",
            f"has no project, which calls without an API key need; write {address}, or set GOOGLE_CLOUD_PROJECT",
        )


def _blamed(where: str, provider_path: str, row: Provider) -> str:
    """The config key of the header that can't be sent: a key's, unless the rest can't be sent either."""
    own = row.key_headers(row.api_key or "").values()
    others = {name: value for name, value in row.headers.items() if value not in own}
    try:
        endpoint(row.base_url, others, DEFAULTS)
    except ValueError:
        return f"{where}.headers"
    if row.key_id.startswith("auth.profiles."):
        return row.key_id
    key, _, index = row.key_id.partition(".")
    return join(f"{provider_path}.{key}", int(index)) if index.isdecimal() else f"{provider_path}.{row.key_id}"
