"""Requests with forwarded headers, each with the only address that may be counted for it.

`{v4}`, `{v6}` and their other spellings are the true client's, different in every case; all other addresses are decoys
that nobody may ever be taken for.
"""

from dataclasses import dataclass

PROXY_NETWORK = "127.9.0.0/16"
TRUSTED = (PROXY_NETWORK, "10.9.0.0/24", "2001:db8:ffff::/48")
DECOYS = ("1.2.3.4", "5.6.7.8", "2001:db8:bad::1", "192.0.2.77", "10.1.1.1")
PEER = "peer"
"""The right attribution where nothing in the request is evidence of a proxy: the peer itself."""


@dataclass(frozen=True)
class Case:
    """`lines` are header lines as sent, `client` the right attribution (None: 403) when a trusted proxy sends them.

    `status` is set where HTTP itself refuses the request, so that attribution never sees it. `fallback` is
    `gateway.allowRealIpFallback`. From an untrusted peer every case is a 403, or PEER where it is PEER here.
    """

    lines: tuple[str, ...]
    client: str | None
    fallback: bool = False
    status: int | None = None


def spelled(text: str, number: int) -> str:
    """`text` with the spellings of this case's client filled in; `number` is the case's own, below 60,000."""
    high, low = number // 250 + 1, number % 250 + 1
    return text.format(
        v4=f"198.18.{high}.{low}",
        mapped=f"::ffff:c612:{high:02x}{low:02x}",
        v6=f"2001:db8:{number + 1:x}::7",
        v6_long=f"2001:0DB8:{number + 1:04X}:0000:0:0:0:0007",
        private=f"10.200.{high}.{low}",
    )


def _for(value: str) -> str:
    return f"X-Forwarded-For: {value}"


def _named(client: str | None, *values: str) -> list[Case]:
    return [Case((_for(value),), client) for value in values]


CASES: tuple[Case, ...] = (
    # One chain: the last hop that no trusted proxy has.
    *_named(
        "{v4}",
        "{v4}",
        "1.2.3.4, {v4}",
        "1.2.3.4,{v4}",
        "127.0.0.1, {v4}",
        "::1, {v4}",
        "10.9.0.9, {v4}",
        "127.9.0.1, {v4}",
        "unknown, {v4}",
        "_hidden, {v4}",
        "1.2.3.4, nonsense, {v4}",
        "0.0.0.0, 224.0.0.1, {v4}",
        "{v4}, 10.9.0.9",
        "{v4}, 127.9.0.9",
        "{v4}, ::ffff:10.9.0.9",
        "{v4}, 10.9.0.9:8080",
        "{v4}, 2001:db8:ffff::9",
        "{v4}, [2001:db8:ffff::9]:443",
        "1.2.3.4, {v4}, 10.9.0.9, 10.9.0.8",
        "1.2.3.4, 10.9.0.9, {v4}",
        "1.2.3.4, 10.9.0.9, {v4}, 10.9.0.8",
        "1.1.1.1, " * 1500 + "{v4}",
        "nonsense" * 1000 + ", {v4}",
        # Empty elements and the white space that may surround one.
        "{v4},",
        ",{v4}",
        ", , {v4} ,, ,",
        "1.2.3.4,,{v4},\t",
        "\t{v4}\t",
        # The same address in other spellings.
        "{v4}:4711",
        "{v4}:0",
        "::ffff:{v4}",
        "[::ffff:{v4}]:4711",
        "{mapped}",
        "[{v4}]:4711",
    ),
    *_named("{v6}", "{v6}", "[{v6}]", "[{v6}]:443", "{v6}%eth0", "{v6_long}", "1.2.3.4, {v6}", "{v6}, 10.9.0.9"),
    *_named("{private}", "{private}", "1.2.3.4, {private}"),
    # Nothing that names a client.
    *_named(
        None,
        "",
        " ",
        ",",
        " , ,\t,",
        "nonsense",
        "unknown",
        "_hidden",
        "localhost",
        "client.example",
        "1.2.3.4, nonsense",
        "1.2.3.4, unknown",
        "1.2.3.4, _hidden, 10.9.0.9",
        "1.2.3.4, unix:",
        "1.2.3.4, -",
        # Addresses that nobody calls a proxy from.
        "127.0.0.1",
        "127.255.255.254",
        "1.2.3.4, 127.0.0.2",
        "::1",
        "[::1]:80",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "0.0.0.0",  # noqa: S104  # nothing is bound, it is what a header says
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "239.255.255.250",
        "ff02::1",
        "255.255.255.255",
        # The proxies alone.
        "10.9.0.9",
        "10.9.0.9, 127.9.0.1, 10.9.0.8",
        "2001:db8:ffff::9",
        # What other readers take for an address, and would take for another one.
        "01.02.03.04",
        "1.2.3.4, 010.9.0.9",
        "0x01020304",
        "0x1.0x2.0x3.0x4",
        "16909060",
        "1.2.772",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.-4",
        "+1.2.3.4",
        "1.2.3.4.",
        "1. 2.3.4",
        "1.2.3.4/32",
        "1.2.3.4%eth0",
        "1.2.3.4%0d%0a",
        "%31.2.3.4",
        "\N{FULLWIDTH DIGIT ONE}.2.3.4",
        "1\N{FULLWIDTH FULL STOP}2.3.4",
        "1\N{IDEOGRAPHIC FULL STOP}2.3.4",
        "\N{ARABIC-INDIC DIGIT ONE}.2.3.4",
        "\N{NO-BREAK SPACE}1.2.3.4",
        "1.2.3.4\N{ZERO WIDTH SPACE}",
        "1.2.3.4\N{NEXT LINE}",
        "1.2.3.4:",
        "1.2.3.4:http",
        "1.2.3.4:-1",
        "1.2.3.4:8\N{FULLWIDTH DIGIT ZERO}",
        "1.2.3.4:80:80",
        "2001:db8:bad::1]:443",
        "[2001:db8:bad::1",
        "[2001:db8:bad::1]443",
        "[2001:db8:bad::1]:",
        "[]:443",
        "[[2001:db8:bad::1]]",
        "2001:db8:bad::1::",
        "2001:db8:bad:0:0:0:0:0:1",
        "::ffff:1.2.3",
        # More than an address.
        '"1.2.3.4"',
        "'1.2.3.4'",
        "for=1.2.3.4",
        "1.2.3.4;proto=https",
        "1.2.3.4 5.6.7.8",
        "1.2.3.4|5.6.7.8",
        "1.2.3.4' OR '1'='1",
        "http://1.2.3.4/",
        "alice@1.2.3.4",
    ),
    # Several headers are one chain, in order of arrival and whatever their capitals.
    Case((_for("1.2.3.4"), _for("{v4}")), "{v4}"),
    Case((_for("{v4}"), _for("10.9.0.9")), "{v4}"),
    Case((_for("1.2.3.4"), _for(""), _for("{v4}"), _for("")), "{v4}"),
    Case(("x-forwarded-for: 1.2.3.4", "X-FORWARDED-FOR: {v4}"), "{v4}"),
    Case((_for("1.2.3.4, 5.6.7.8"), "Host-Of-Nobody: x", _for("{v4}, 10.9.0.9"), _for("127.9.0.9")), "{v4}"),
    Case((_for("1.2.3.4"), _for("nonsense")), None),
    Case((_for("1.2.3.4"), _for("127.0.0.1")), None),
    # Other headers about the client are evidence and nothing more.
    Case(("Forwarded: for=1.2.3.4",), None),
    Case(('Forwarded: for="[2001:db8:bad::1]:4711";proto=https;by=10.9.0.9',), None),
    Case(('forwarded: for=1.2.3.4, for="_hidden", for=unknown',), None),
    Case(("Forwarded: ",), None),
    Case(("Forwarded: for=1.2.3.4", _for("{v4}")), "{v4}"),
    Case((_for("{v4}"), 'Forwarded: for=1.2.3.4;for="5.6.7.8"'), "{v4}"),
    Case(("X-Forwarded-Host: 1.2.3.4",), None),
    Case(("X-Forwarded-Proto: https",), None),
    Case(("X-Forwarded-Port: 443",), None),
    Case(("X-Forwarded-User: alice",), None),
    Case(("X-Forwarded-Server: 1.2.3.4",), None),
    Case(("X-Forwarded-Forr: 1.2.3.4",), None),
    Case(("X-Forwarded-: 1.2.3.4",), None),
    Case(("X-Forwarded-For-Original: 1.2.3.4", _for("{v4}")), "{v4}"),
    Case(("X-Forwarded-Host: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", _for("{v4}")), "{v4}"),
    Case(("Tailscale-User-Login: alice@example.com",), None),
    Case(("TAILSCALE-USER-NAME: Alice",), None),
    Case(("Tailscale-Headers-Info: x", _for("{v4}")), "{v4}"),
    # X-Real-IP: one header, one address, and only when configured and nothing better is there.
    Case(("X-Real-IP: 1.2.3.4",), None),
    Case(("X-Real-IP: 1.2.3.4", _for("{v4}")), "{v4}"),
    Case(("X-Real-IP: {v4}",), "{v4}", fallback=True),
    Case(("x-real-ip: {v4}:4711",), "{v4}", fallback=True),
    Case(("X-Real-IP: ::ffff:{v4}",), "{v4}", fallback=True),
    Case(("X-Real-IP: {v6}",), "{v6}", fallback=True),
    Case(("X-Real-IP: {v4}", _for("")), "{v4}", fallback=True),
    Case(("X-Real-IP: {v4}", _for("10.9.0.9")), "{v4}", fallback=True),
    Case(("X-Real-IP: 1.2.3.4", _for("{v4}")), "{v4}", fallback=True),
    Case(("X-Real-IP: 1.2.3.4", _for("127.0.0.1")), None, fallback=True),
    Case(("X-Real-IP: 1.2.3.4, 5.6.7.8",), None, fallback=True),
    Case(("X-Real-IP: 1.2.3.4", "X-Real-IP: 5.6.7.8"), None, fallback=True),
    Case(("X-Real-IP: 1.2.3.4", "X-Real-IP: "), None, fallback=True),
    Case(("X-Real-IP: 127.0.0.1",), None, fallback=True),
    Case(("X-Real-IP: ::ffff:127.0.0.1",), None, fallback=True),
    Case(("X-Real-IP: 0.0.0.0",), None, fallback=True),
    Case(("X-Real-IP: ff02::1",), None, fallback=True),
    Case(("X-Real-IP: nonsense",), None, fallback=True),
    Case(("X-Real-IP: ",), None, fallback=True),
    Case(("Forwarded: for=1.2.3.4",), None, fallback=True),
    # Names that say nothing here, because no standard or no proxy of ours writes them.
    Case(("X_Forwarded_For: 1.2.3.4",), PEER),
    Case(("X_Real_IP: 1.2.3.4",), PEER),
    Case(("X-Forwarded: for=1.2.3.4",), PEER),
    Case(("Forwarded-For: 1.2.3.4",), PEER),
    Case(("XForwarded-For: 1.2.3.4",), PEER),
    Case(("Via: 1.1 proxy.example",), PEER),
    Case(("CF-Connecting-IP: 1.2.3.4", "True-Client-IP: 1.2.3.4", "X-Client-IP: 1.2.3.4"), PEER),
    Case(("X-Cluster-Client-IP: 1.2.3.4", "X-Original-Forwarded-For: 1.2.3.4", "Fastly-Client-IP: 1.2.3.4"), PEER),
    Case(("Tailscale: alice", "X-Tailscale-User-Login: alice"), PEER),
    Case(("Remote-Addr: 1.2.3.4", "Client-IP: 1.2.3.4", "From: alice@example.com"), PEER),
    Case(("X_Forwarded_For: 1.2.3.4", "CF-Connecting-IP: 1.2.3.4", _for("{v4}")), "{v4}"),
    Case(("Connection: close, X-Forwarded-For", _for("{v4}")), "{v4}"),
    # What is no HTTP, lines that go on in the next among it (RFC 9112 §5.2).
    Case(("X-Forwarded-For: 1.2.3.4,\r\n {v4}",), None, status=400),
    Case(("X-Forwarded-For: {v4},\r\n\t10.9.0.9",), None, status=400),
    Case(("X-Innocent: a\r\n X-Forwarded-For: 1.2.3.4",), None, status=400),
    Case(("X-Forwarded-For : 1.2.3.4",), None, status=400),
    Case(("X-Forwarded\tFor: 1.2.3.4",), None, status=400),
    Case((_for("1.2.3.4\x00"),), None, status=400),
    Case(("X-Innocent: a\rX-Forwarded-For: 1.2.3.4",), None, status=400),
    Case(("X-Innocent: a\nX-Forwarded-For: 1.2.3.4",), None, status=400),
    Case(("X-Forwarded-For",), None, status=400),
    Case((": 1.2.3.4",), None, status=400),
    Case((_for("1.1.1.1, " * 2500 + "{v4}"),), None, status=431),
)
