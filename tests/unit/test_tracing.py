import json
import subprocess
import sys

import pytest

from gateway import tracing
from gateway.cli.main import main
from gateway.config.diagnostics import OtelConfig
from gateway.tracing import url_from

BASE = {
    "gateway": {"auth": {"token": "a-token"}, "http": {"endpoints": {"responses": {"enabled": True}}}},
    "models": {"mode": "replace", "providers": {"fake": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "k"}}},
    "agents": {"defaults": {"model": "fake/x"}},
}


@pytest.fixture
def checked(tmp_path, monkeypatch, capsys):
    """The exit status and the output of `check` for this `diagnostics.otel`."""
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    for name in ("OPENCLAW_CONFIG_PATH", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)

    def check(otel, **diagnostics):
        file = tmp_path / "openclaw.json"
        file.write_text(json.dumps(BASE | {"diagnostics": {"otel": otel, **diagnostics}}), encoding="utf-8")
        status = main(["check"])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return check


@pytest.fixture
def uninstalled(monkeypatch):
    """Only OpenTelemetry's API is installed, as the package mcp brings it."""
    monkeypatch.setattr(tracing, "_PACKAGES", ("opentelemetry-api", "opentelemetry-that-nobody-has"))


def test_enabled_traces_without_the_packages_are_an_error_with_the_command_to_type(uninstalled, checked):
    status, output = checked({"enabled": True})
    assert status == 1
    assert (
        "diagnostics.otel.enabled: OpenTelemetry's packages are not installed; install the extra: "
        "pip install 'openclaw-gateway[otel]'" in output
    )


@pytest.mark.parametrize(
    ("otel", "diagnostics"),
    [({}, {}), ({"enabled": True, "traces": False}, {}), ({"enabled": True}, {"enabled": False})],
    ids=["not enabled", "no traces", "no diagnostics"],
)
def test_disabled_traces_need_no_package(uninstalled, checked, otel, diagnostics):
    assert checked(otel, **diagnostics)[0] == 0


def test_enabled_traces_with_the_packages_are_fine(checked):
    assert checked({"enabled": True})[0] == 0


@pytest.mark.parametrize(
    ("otel", "problem"),
    [
        ({"endpoint": "localhost:4318"}, "diagnostics.otel.endpoint: is not the http or https URL of a collector"),
        ({"endpoint": "grpc://collector:4317"}, "diagnostics.otel.endpoint: is not the http or https URL"),
        ({"tracesEndpoint": "https://me:secret@host/x"}, "diagnostics.otel.tracesEndpoint: holds a login; move it to"),
        ({"protocol": "grpc"}, "diagnostics.otel.protocol: "),
        ({"sampleRate": 1.5}, "diagnostics.otel.sampleRate: "),
        ({"sampelRate": 1}, "diagnostics.otel.sampelRate: unknown key; did you mean 'sampleRate'?"),
    ],
)
def test_what_can_not_be_used_is_named(checked, otel, problem):
    status, output = checked({"enabled": True} | otel)
    assert status == 1
    assert problem in output
    assert "secret" not in output


def test_a_variable_that_can_not_be_used_is_named(checked, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    status, output = checked({"enabled": True})
    assert status == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT: is not the http or https URL of a collector" in output


def test_openclaws_keys_for_metrics_logs_and_tool_content_are_named_as_without_effect(checked):
    content = {"enabled": True, "toolInputs": True}
    status, output = checked({"enabled": True, "logs": True, "captureContent": content}, flags=["x"])
    assert status == 0
    for key in ("diagnostics.flags", "diagnostics.otel.captureContent.toolInputs", "diagnostics.otel.logs"):
        assert key in output


@pytest.mark.parametrize(
    ("settings", "env", "expected"),
    [
        ({}, {}, "http://localhost:4318/v1/traces"),
        ({"endpoint": "https://c.example/otlp/"}, {}, "https://c.example/otlp/v1/traces"),
        ({"endpoint": "https://c.example/v1/traces"}, {}, "https://c.example/v1/traces"),
        ({"endpoint": "http://a"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b"}, "http://b/v1/traces"),
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/x"}, "http://b/x"),
        (
            {"traces_endpoint": "http://c/y"},
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://b"},
            "http://c/y",
        ),
    ],
)
def test_the_url_for_traces(settings, env, expected):
    assert url_from(OtelConfig(**settings), env) == expected


def test_without_traces_their_exporter_is_not_imported():
    program = (
        "import sys\n"
        "import gateway.app, gateway.cli.serve\n"
        "from gateway.config.root import Config\n"
        "from gateway.monitoring import Monitoring\n"
        "assert Monitoring(Config(), {}).traces is None\n"
        "names = ('gateway.traces.opentelemetry', 'opentelemetry.exporter', 'opentelemetry.proto', 'google.protobuf')\n"
        "print([name for name in sys.modules if name.startswith(names)])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
