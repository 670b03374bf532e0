"""The permissions of callers without a secret, and the order of checks (mode `none`, a real process)."""

import json

import pytest
import pytest_asyncio

from tests.e2e.answers import embeds, says
from tests.e2e.process import serving
from tests.e2e.raw import exchange, head, status

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODELS = ["/v1/models", "/v1/models/openclaw"]
BODIES = {
    "/v1/chat/completions": b'{"messages":[{"role":"user","content":"hi"}]}',
    "/v1/responses": b'{"model":"openclaw","input":"hi"}',
    "/v1/embeddings": b'{"model":"openclaw","input":"hi"}',
}
READ, WRITE, ADMIN = "operator.read", "operator.write", "operator.admin"
EVERYTHING, READING, NOTHING = (READ, WRITE, ADMIN), (READ,), ()

DECLARED = [
    # (header lines, what they grant)
    ((), EVERYTHING),
    ((ADMIN,), EVERYTHING),
    ((WRITE,), (READ, WRITE)),
    ((READ,), READING),
    ((f" {READ} ,\t{WRITE} ",), (READ, WRITE)),
    ((READ, WRITE), (READ, WRITE)),
    (("", WRITE), (READ, WRITE)),
    ((f"{READ},{READ},,",), READING),
    ((f"nonsense,{READ}",), READING),
    (("",), NOTHING),
    ((",",), NOTHING),
    ((f"{READ} {WRITE}",), NOTHING),
    ((f"{READ};{WRITE}",), NOTHING),
    (("OPERATOR.WRITE",), NOTHING),
    (("operator.*",), NOTHING),
    (("*",), NOTHING),
    ((f'"{WRITE}"',), NOTHING),
    (("operator.approvals, operator.questions, operator.pairing, operator.talk.secrets",), NOTHING),
]


async def greets(request, model):
    """Answers at every endpoint."""
    answer = embeds([0.25]) if request.path.endswith("/embeddings") else says("Hello")
    return await answer(request, model)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_gateway(config, provider, tmp_path_factory):
    provider.model(greets, "unscripted")
    mine = {"auth": {"mode": "none"}, "controlUi": {"allowedOrigins": ["https://ok.example.com"]}}
    async with serving(tmp_path_factory.mktemp("state"), config | {"gateway": config["gateway"] | mine}) as ready:
        yield ready


@pytest.fixture
def other(provider):
    """The header that selects another model, and that model at the provider."""
    model = provider.model(greets)
    return model, f"x-openclaw-model: {model.chosen['x-openclaw-model']}"


async def ask(gateway, path, *lines, body=None):
    """Status and body of one request with these header lines; with a body, or the path's own, it is a POST."""
    body = BODIES.get(path) if body is None else body
    start = f"GET {path}" if body is None else f"POST {path}"
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    answer = await exchange(gateway, head(f"{start} HTTP/1.1", *lines, *length), body or b"", to_the_end=True)
    return status(answer), answer.partition(b"\r\n\r\n")[2]


def missing(scope):
    details = {"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope]}
    return {"ok": False, "error": {"type": "forbidden", "message": f"missing scope: {scope}", "details": details}}


@pytest.mark.parametrize(("values", "granted"), DECLARED, ids=range(len(DECLARED)))
async def test_every_route_needs_its_scope_and_says_which(open_gateway, other, values, granted):
    model, chosen = other
    scopes = [f"x-openclaw-scopes: {value}" for value in values]
    for path in MODELS:
        for lines in (scopes, [*scopes, chosen]):
            code, body = await ask(open_gateway, path, *lines)
            assert code == (200 if READ in granted else 403)
            assert READ in granted or json.loads(body) == missing(READ)
    for path in BODIES:
        code, body = await ask(open_gateway, path, *scopes)
        assert code == (200 if WRITE in granted else 403)
        assert WRITE in granted or json.loads(body) == missing(WRITE)
        code, body = await ask(open_gateway, path, *scopes, chosen)
        assert code == (200 if ADMIN in granted else 403)
        assert ADMIN in granted or json.loads(body) == missing(ADMIN if WRITE in granted else WRITE)
    assert len(model.asked) == (3 if ADMIN in granted else 0)


@pytest.mark.parametrize("path", BODIES)
async def test_checks_run_in_the_recorded_order(open_gateway, other, path):
    _, chosen = other
    scopes = {scope: f"x-openclaw-scopes: {scope}" for scope in (READ, WRITE)}
    evil = "Origin: https://evil.example.com"
    claim = "X-Forwarded-For: 203.0.113.5"
    steps = [
        # Each request breaks this rule and all later ones.
        (403, ("/nowhere", claim, evil), b"{"),
        (404, ("/nowhere", evil), b"{"),
        (405, (path, evil), None),
        (401, (path, evil, scopes[READ]), b"{"),
        (403, (path, scopes[READ], chosen), b"{"),
        (400, (path, scopes[WRITE], chosen), b"{"),
        (403, (path, scopes[WRITE], chosen), b"[]"),
        (403, (path, scopes[WRITE], chosen), b'{"model":7}'),
        (400, (path, scopes[WRITE]), b'{"model":7}'),
    ]
    for expected, (target, *lines), body in steps:
        if body is None:
            answer = await exchange(open_gateway, head(f"PUT {target} HTTP/1.1", *lines), to_the_end=True)
            assert status(answer) == expected
        else:
            assert (await ask(open_gateway, target, *lines, body=body))[0] == expected, (target, lines, body)


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ((), 200),
        (("",), 200),
        (("https://ok.example.com",), 200),
        (("HTTPS://OK.example.com:443",), 200),
        (("http://localhost",), 200),
        (("http://localhost:5173",), 200),
        (("https://127.0.0.1:8443",), 200),
        (("http://[::1]:3000",), 200),
        (("null",), 401),
        (("https://evil.example.com",), 401),
        (("http://ok.example.com",), 401),
        (("https://ok.example.com:8443",), 401),
        (("https://ok.example.com.evil.example.com",), 401),
        (("http://localhost.evil.example.com",), 401),
        (("http://127.0.0.1.evil.example.com",), 401),
        (("https://ok.example.com", "https://evil.example.com"), 401),
        (("file://",), 401),
    ],
)
async def test_without_a_secret_the_origin_of_browsers_is_checked(open_gateway, origins, expected):
    lines = [f"Origin: {origin}" for origin in origins]
    for more in ([], ["Sec-Fetch-Site: same-site"], ["Authorization: Bearer whatever"]):
        assert (await ask(open_gateway, "/v1/models", *lines, *more))[0] == expected


@pytest.mark.parametrize(
    ("host", "more", "expected"),
    [
        ("127.0.0.1:18789", [], 200),
        ("ok.example.com", [], 200),
        ("evil.example:18789", [], 401),
        ("gateway", [], 401),
        ("localhost", ["Sec-Fetch-Site: cross-site"], 401),
        ("localhost", ["Sec-Fetch-Site: cross-site", "Origin: https://ok.example.com"], 200),
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/api/v1/sessions", "/api/v1/runs/x"])
async def test_without_a_secret_no_web_page_reads_anything_by_dns_rebinding(open_gateway, host, more, expected, path):
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *more, "", ""]
    answer = await exchange(open_gateway, "\r\n".join(lines).encode(), to_the_end=True)
    assert status(answer) == (404 if expected == 200 and path.endswith("/x") else expected)
