import pytest

from gateway.upstream.transport.endpoint import Origin, endpoint

DEFAULTS = {"User-Agent": "us", "Accept": "*/*"}


def lines(made):
    return made.head.decode().split("\r\n")


@pytest.mark.parametrize(
    ("url", "origin", "first", "host"),
    [
        ("http://acme/v1/x", ("acme", 80, False), "POST /v1/x HTTP/1.1", "Host: acme"),
        ("https://acme/v1/x?a=b%20c", ("acme", 443, True), "POST /v1/x?a=b%20c HTTP/1.1", "Host: acme"),
        ("https://acme:8443/", ("acme", 8443, True), "POST / HTTP/1.1", "Host: acme:8443"),
        ("http://[::1]:80/x", ("::1", 80, False), "POST /x HTTP/1.1", "Host: [::1]"),
        ("http://[::1]:81/x", ("::1", 81, False), "POST /x HTTP/1.1", "Host: [::1]:81"),
        ("http://bücher.example/ä", ("xn--bcher-kva.example", 80, False), "POST /%C3%A4 HTTP/1.1", None),
    ],
)
def test_a_url_gives_the_origin_and_the_path(url, origin, first, host):
    made = endpoint(url, {}, DEFAULTS)
    assert made.origin == Origin(*origin)
    assert lines(made)[0] == first
    assert lines(made)[1] == (host or f"Host: {origin[0]}")


def test_a_rows_headers_replace_ours_of_the_same_name_and_the_length_comes_last():
    made = endpoint("http://acme/", {"accept": "text/plain", "HOST": "other", "X-Key": "k"}, DEFAULTS)
    assert lines(made)[1:] == ["User-Agent: us", "accept: text/plain", "HOST: other", "X-Key: k", "Content-Length: "]


def test_a_user_in_the_url_authorizes_unless_a_header_does():
    assert "Authorization: Basic dTpwQA==" in lines(endpoint("http://u:p%40@acme/", {}, {}))
    made = endpoint("http://u:p@acme/", {"authorization": "Bearer x"}, {})
    assert [line for line in lines(made) if "uthorization" in line] == ["authorization: Bearer x"]
    assert "u:p" not in made.head.decode()


@pytest.mark.parametrize(
    "url", ["acme", "/v1", "ftp://acme/", "http://", "http:///v1", "http://acme:99999/", "wss://u:pw@h/"]
)
def test_an_invalid_url_is_refused(url):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # yarl has its own sentences
        endpoint(url, {}, {})
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "a\0"])
def test_a_name_that_is_no_headers_is_refused(name):
    with pytest.raises(ValueError, match="name"):
        endpoint("http://acme/", {name: "x"}, {})


@pytest.mark.parametrize("value", ["secret\r\nX: y", "secret\n", "secret\r", "secret\0"])
def test_a_value_can_not_end_its_line_and_is_not_quoted(value):
    with pytest.raises(ValueError, match="'X-Key'") as caught:
        endpoint("http://acme/", {"X-Key": value}, {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "Expect"])
def test_headers_that_frame_the_request_are_not_a_rows_to_set(name):
    with pytest.raises(ValueError, match=f"'{name.lower()}'"):
        endpoint("http://acme/", {name: "5"}, {})


def test_the_credential_is_not_in_the_repr():
    assert "secret" not in repr(endpoint("http://acme/", {"Authorization": "secret"}, {}))
