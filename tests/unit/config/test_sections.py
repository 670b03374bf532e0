"""Values that a section changes on reading: durations, names, texts."""

import pytest


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("'7d'", 604800), ("'12h'", 43200), ("'30m'", 1800), ("'1.5 s'", 1.5), ("'500ms'", 0.5), ("2", 172800)],
)
def test_the_idle_time_of_conversations_is_in_seconds(loaded, written: str, seconds: float):
    assert (
        loaded(f"{{session:{{maintenance:{{pruneAfter:{written}}}}}}}").config.session.maintenance.prune_after
        == seconds
    )


def test_conversations_are_stored_for_a_week(loaded):
    assert loaded().config.session.maintenance.prune_after == 7 * 24 * 3600


@pytest.mark.parametrize("written", ["0", "'0d'", "true", "'-1d'", "'7w'"])
def test_an_idle_time_of_zero_is_refused(refused, written: str):
    (problem,) = refused(f"{{session:{{maintenance:{{pruneAfter:{written}}}}}}}")
    assert problem.startswith("session.maintenance.pruneAfter: ")


def test_a_tool_server_takes_numbers_and_truth_values_as_text(loaded):
    text = "{mcp:{servers:{s:{command:'x',workingDirectory:'/w',env:{A:1,B:true,C:'c',D:false}}}}}"
    server = loaded(text).config.mcp.servers["s"]
    assert {name: value.get_secret_value() for name, value in server.env.items()} == {
        "A": "1",
        "B": "true",
        "C": "c",
        "D": "false",
    }
    assert server.cwd == "/w"


def test_types_and_hosts_are_compared_in_lower_case(loaded):
    text = (
        "{gateway:{http:{endpoints:{responses:{files:{allowedMimes:[' Text/Plain'],urlAllowlist:['*.Example.COM']}}}}}}"
    )
    files = loaded(text).config.gateway.http.endpoints.responses.files
    assert files.allowed_mimes == ("text/plain",)
    assert files.url_allowlist == ("*.example.com",)


@pytest.mark.parametrize(("written", "held"), [("'none'", "none"), ("'all'", "all"), ("200", 200), ("0", 0)])
def test_hold_back_is_a_word_or_a_number(loaded, written: str, held: str | int):
    assert loaded(f"{{gateway:{{stream:{{holdBack:{written}}}}}}}").config.gateway.stream.hold_back == held


@pytest.mark.parametrize(("written", "limit"), [("false", False), ("250", 250)])
def test_the_global_limit_can_be_switched_off(loaded, written: str, limit: int | bool):
    config = loaded(f"{{gateway:{{auth:{{rateLimit:{{global:{written}}}}}}}}}").config
    value = config.gateway.auth.rate_limit.global_per_minute
    assert (value, type(value)) == (limit, type(limit))


@pytest.mark.parametrize(("written", "value"), [("'max-age=300'", "max-age=300"), ("false", False)])
def test_strict_transport_security_is_a_value_or_off(loaded, written: str, value: str | bool):
    text = f"{{gateway:{{http:{{securityHeaders:{{strictTransportSecurity:{written}}}}}}}}}"
    assert loaded(text).config.gateway.http.security_headers.strict_transport_security == value
