import io
import json

import pytest
import structlog

from gateway.config.load import load
from gateway.config.secret_values import secret_values
from gateway.observe import log as logs
from gateway.observe.redact import hide_values

CONFIG = {
    "gateway": {
        "auth": {"token": "token words of mine"},
        "redis": {"url": "redis://user:pass%20phrase@redis.example:6379"},
    },
    "models": {
        "providers": {
            "p": {
                "baseUrl": "https://p.example/v1",
                "apiKey": "api key words",
                "headers": {"X-Key": "header words"},
                "models": [{"id": "m", "headers": {"X-Model": "model words"}}],
            }
        }
    },
    "mcp": {"servers": {"s": {"command": "x", "env": {"KEY": "env words here"}}}},
}
VALUES = {"token words of mine", "pass%20phrase", "pass phrase", "api key words", "header words", "model words",
          "env words here"}  # fmt: skip


@pytest.fixture
def loaded(tmp_path):
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(CONFIG), encoding="utf-8")
    return load(file, {}).config


def test_every_secret_of_a_configuration_is_found(loaded):
    assert secret_values(loaded) == VALUES


def test_no_log_line_holds_a_configured_secret_whatever_it_looks_like(loaded):
    out = io.StringIO()
    logs.configure(stream_is_tty=False, style="json", stream=out)
    hide_values(secret_values(loaded))
    try:
        for value in VALUES:
            structlog.get_logger().warning("Caller refused", path=f"/v1/{value}", model=value, fields={"a": [value]})
    finally:
        hide_values(())
        structlog.reset_defaults()
    assert out.getvalue().count("[redacted]") == 3 * len(VALUES)
    assert not any(value in out.getvalue() for value in VALUES)


@pytest.mark.parametrize("secret", ["http://[::1/hook", "pass://[word"])
def test_a_secret_that_looks_like_a_malformed_url_is_one_as_a_whole(tmp_path, secret):
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps({"gateway": {"auth": {"token": secret}}}), encoding="utf-8")
    assert secret_values(load(file, {}).config) == {secret}
