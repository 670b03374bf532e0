import pytest

from gateway.http.routes import is_exact


@pytest.mark.parametrize(
    ("raw_path", "exact"),
    [
        ("/v1/models", True),
        ("/v1/models/openclaw%2Fdefault", True),
        ("/v1/models/openclaw%2Fdefault?a=%20", True),
        ("/v1/chat/completions?a=%20", True),
        ("/v1/%6dodels", False),
        ("/v1/chat%2Fcompletions", False),
        ("/%76%31/chat/completions?a=b", False),
    ],
)
def test_escapes_are_accepted_in_model_ids_only(raw_path, exact):
    assert is_exact(raw_path) is exact
