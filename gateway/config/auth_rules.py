"""Rules about who may call: modes, secrets, client keys and scopes. `gateway.config.rules` runs them."""

from collections.abc import Iterator, Sequence

from gateway.config.auth import AuthConfig
from gateway.config.problems import Problem, join
from gateway.config.root import Config
from gateway.config.shape import nearest
from gateway.core.client_key import NAME_RULE, is_key, is_key_name
from gateway.core.identity import ALL_SCOPES


def mode_is_explicit(auth: AuthConfig) -> bool:
    """Whether the file sets the mode; otherwise the one secret that is set decides."""
    return "mode" in auth.model_fields_set


def secrets_are_real(config: Config) -> Iterator[Problem]:
    """Broken scripts write `undefined`, `null` or blanks instead of a secret (OpenClaw refuses them too)."""
    for key in ("token", "password"):
        secret = getattr(config.gateway.auth, key)
        if secret is not None and secret.get_secret_value().strip() in ("", "undefined", "null"):
            yield Problem(
                f"gateway.auth.{key}", "is blank or the word undefined or null; set a real secret or remove the key"
            )


def one_secret_or_a_mode(config: Config) -> Iterator[Problem]:
    """With both secrets the mode is ambiguous."""
    auth = config.gateway.auth
    if auth.token is not None and auth.password is not None and not mode_is_explicit(auth):
        text = "is missing, while a token and a password are both set (in the file or the environment)"
        yield Problem("gateway.auth.mode", f'{text}; set it to "token" or "password"')


def password_mode_has_a_password(config: Config) -> Iterator[Problem]:
    """Unlike a token, a password is never generated."""
    if config.gateway.auth.mode == "password" and config.gateway.auth.password is None:
        yield Problem(
            "gateway.auth.password", 'is missing, while mode is "password"; set it or OPENCLAW_GATEWAY_PASSWORD'
        )


def trusted_proxy_is_complete(config: Config) -> Iterator[Problem]:
    """OpenClaw refuses to start without these as well (recorded)."""
    auth = config.gateway.auth
    if auth.mode != "trusted-proxy":
        return
    if not config.gateway.trusted_proxies:
        yield Problem(
            "gateway.trustedProxies", 'is empty, while auth mode is "trusted-proxy"; list the proxy\'s address'
        )
    if not auth.trusted_proxy.user_header.strip():
        text = 'is empty, while auth mode is "trusted-proxy"'
        yield Problem("gateway.auth.trustedProxy.userHeader", f"{text}; name the header with the user's identity")
    if auth.token is not None:
        text = 'is set, while auth mode is "trusted-proxy", and the two exclude each other'
        yield Problem("gateway.auth.token", f"{text}; remove it and OPENCLAW_GATEWAY_TOKEN, or change the mode")


def identity_scopes_are_known(config: Config) -> Iterator[Problem]:
    """A misspelt scope would grant nothing, and the user's 403 would not explain it."""
    auth = config.gateway.auth
    if not auth.identity_scopes_apply_to_http:
        return
    for user, scopes in auth.identity_scopes.items():
        yield from _unknown_scopes(join("gateway.auth.identityScopes", user), scopes)


def keys_are_checked(config: Config) -> Iterator[Problem]:
    """Without a secret to check, a key would restrict nobody; a proxy's users have their identity already."""
    mode = config.gateway.auth.mode
    if config.gateway.keys and mode not in ("token", "password"):
        text = f'is set, while auth mode is "{mode}", in which no keys are checked'
        yield Problem("gateway.keys", f'{text}; remove it, or set the mode to "token" or "password"')


def keys_are_complete(config: Config) -> Iterator[Problem]:
    """A key has a name, one secret of its own, and scopes that exist."""
    known: dict[str, str] = {}
    for name, key in config.gateway.keys.items():
        path = join("gateway.keys", name)
        if not is_key_name(name):
            yield Problem(path, f"the name of a key must be {NAME_RULE}")
        if (key.key is None) == (key.digest is None):
            yield Problem(path, "needs either key or digest; `openclaw-gateway keys generate` prints both")
        if key.key is not None and not is_key(key.key.get_secret_value()):
            text = "is not a client key, which is ocg_ and 43 characters that a generator has chosen"
            yield Problem(f"{path}.key", f"{text}; `openclaw-gateway keys generate` prints one")
        if (digest := key.sha256) is not None:
            if digest in known:
                yield Problem(path, f"has the same key as {known[digest]!r}; give each client its own")
            known.setdefault(digest, name)
        yield from _unknown_scopes(f"{path}.scopes", key.scopes)


def _unknown_scopes(path: str, scopes: Sequence[str]) -> Iterator[Problem]:
    for index, scope in enumerate(scopes):
        if scope not in ALL_SCOPES:
            near = nearest(scope, ALL_SCOPES)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(sorted(ALL_SCOPES))}"
            yield Problem(join(path, index), f"{scope!r} is not a scope; {hint}")
