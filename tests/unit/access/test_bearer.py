import pytest

from gateway.access.bearer import bearer

TOKEN = "token-0123456789abcdef"


@pytest.mark.parametrize(
    ("value", "credential"),
    [
        (f"Bearer {TOKEN}", TOKEN),
        (f"bearer {TOKEN}", TOKEN),
        (f"BEARER {TOKEN}", TOKEN),
        (f"Bearer   {TOKEN}", TOKEN),
        (f"Bearer {TOKEN}  ", TOKEN),
        (f"Bearer \t{TOKEN}", TOKEN),
        (f'Bearer "{TOKEN}"', f'"{TOKEN}"'),
        (f"Bearer {TOKEN} extra", f"{TOKEN} extra"),
        (f"Bearer {TOKEN}, Bearer other", f"{TOKEN}, Bearer other"),
        (f"Bearer\t{TOKEN}", None),
        (f"Bearer{TOKEN}", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer    ", None),
        ("", None),
        (TOKEN, None),
        ("Basic dXNlcjpwYXNz", None),
        (f"Token {TOKEN}", None),
        (f" Bearer {TOKEN}", None),
    ],
)
def test_the_credential_of_every_recorded_form(headers, value, credential):
    assert bearer(headers(("Authorization", value))) == credential


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "Cookie", "Proxy-Authorization", "X-Authorization"])
def test_other_headers_carry_no_credential(headers, name):
    assert bearer(headers((name, f"Bearer {TOKEN}"))) is None


def test_no_header_is_no_credential(headers):
    assert bearer(headers()) is None


def test_the_first_of_two_headers_counts(headers):
    assert bearer(headers(("Authorization", "Bearer a"), ("authorization", "Bearer b"))) == "a"
