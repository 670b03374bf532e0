"""What a command reads of a file that is refused, to ask the gateway that still runs."""

import pytest

from gateway.config.load import load, readable_gateway
from gateway.core.errors import ConfigError

TOKEN = "token-of-the-running-gateway"
GATEWAY = f'gateway: {{ port: 1234, auth: {{ token: "{TOKEN}" }} }}'
VARIABLE = {"OPENCLAW_GATEWAY_TOKEN": TOKEN, "OPENCLAW_GATEWAY_PORT": "1234"}
REFUSED = {
    "another section": (f"{{ {GATEWAY}, models: 7, agents: [], mcp: {{ servers: 1 }} }}", {}),
    "a variable that is not set": (f"{{ {GATEWAY}, models: {{ providers: {{ p: {{ apiKey: '${{GONE}}' }} }} }} }}", {}),
    "an unknown key": (f'{{ gateway: {{ prot: 1, port: 1234, auth: {{ tokn: 1, token: "{TOKEN}" }} }} }}', {}),
    "a value of another type": (
        f'{{ gateway: {{ port: 1234, limits: 5, auth: {{ mode: 7, token: "{TOKEN}" }} }} }}',
        {},
    ),
    "a bad port": (
        f'{{ models: 7, gateway: {{ port: "x", auth: {{ token: "{TOKEN}" }} }} }}',
        {"OPENCLAW_GATEWAY_PORT": "1234"},
    ),
    "a token of a variable": (
        '{ gateway: { port: 1234, auth: { token: "${SECRET}" } }, models: 7 }',
        {"SECRET": TOKEN},
    ),
    "no JSON5": ("{ gateway: { port: 99", VARIABLE),
    "no object": ("[]", VARIABLE),
    "no section": ("{ gateway: [] }", VARIABLE),
    "no section of the credential": ("{ gateway: { auth: 5 } }", VARIABLE),
    "bytes": ("\0\x01", VARIABLE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_port_and_the_token_of_the_running_gateway_are_read_in_a_refused_file(tmp_path, name):
    text, variables = REFUSED[name]
    file = tmp_path / "openclaw.json"
    file.write_text(text, encoding="utf-8")
    env = {"OPENCLAW_STATE_DIR": str(tmp_path), **variables}
    with pytest.raises(ConfigError):
        load(file, env)
    gateway = readable_gateway(file, env)
    assert gateway.port == 1234
    assert gateway.auth.token is not None
    assert gateway.auth.token.get_secret_value() == TOKEN
    assert not gateway.auth.generated


def test_a_missing_file_and_an_unreadable_environment_leave_the_defaults_and_no_credential(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    gateway = readable_gateway(tmp_path / "gone.json", {"OPENCLAW_STATE_DIR": str(tmp_path)})
    assert gateway.port == 18789
    assert gateway.auth.generated


def test_the_password_and_the_certificate_are_read_too(tmp_path):
    file = tmp_path / "openclaw.json"
    auth = 'auth: { mode: "password", password: "a-password-of-some-length" }'
    file.write_text(f'{{ gateway: {{ {auth}, tls: {{ enabled: true, certPath: "/there/is/none" }} }}, models: 7 }}')
    gateway = readable_gateway(file, {"OPENCLAW_STATE_DIR": str(tmp_path)})
    assert (gateway.auth.mode, gateway.tls.enabled) == ("password", True)
    assert gateway.auth.password is not None
