import pytest

from gateway.media.fetch import host_allowed, is_public

PUBLIC = "93.184.216.34"

INSIDE = [
    # names that this machine or a resolver knows
    *("localhost", "LOCALHOST", "localhost.", "sub.localhost", "inside.test", "INSIDE.test.", "mixed.test"),
    # 127.0.0.1 in the spellings that some resolver understands
    *("127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7F.1", "0177.0.0.1"),
    *("0177.1", "017700000001", "127.000.000.001", "127.0.0.0x1", "00000177.0.0.1", "127.255.255.254"),
    # and with full-width, circled and raised characters, which become ordinary ones
    *("\uff11\uff12\uff17.\uff10.\uff10.\uff11", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460"),
    *("\u00b9\u00b2\u2077.\u2070.\u2070.\u00b9", "127\u30020\u30020\u30021", "\u24dbocalhost"),
    # private, shared, link-local, metadata
    *("0", "0.0", "0.0.0.00", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1"),
    *("100.64.0.1", "100.100.100.200", "169.254.169.254", "169.254.0.1", "2852039166", "0xa9fea9fe", "3232235777"),
    # documentation, benchmark, protocol, multicast, reserved, broadcast
    *("192.0.0.1", "192.0.0.170", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255"),
    *("192.0.0.192", "168.63.129.16", "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    # IPv6: loopback, unspecified, link-local, unique local, site-local, multicast, documentation
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd00:ec2::254]"),
    *("[fec0::1]", "[ff02::1]", "[ff0e::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[2001:2::1]", "[4000::1]"),
    # IPv4 inside IPv6: mapped, compatible, 6to4, NAT64, Teredo; public ones too
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]"),
    *("[::7f00:1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]"),
    *("[64:ff9b:1::7f00:1]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[::ffff:93.184.216.34]"),
    *("[2002:5db8:d822::1]", "[64:ff9b::5db8:d822]", "[::ffff:0:7f00:1]", "[::ffff:169.254.169.254]"),
    *("[2001:10::1]", "[2001:20::1]", "[5f00::1]", "[fd20:ce::254]", "[fe80::5efe:127.0.0.1]"),
]
WRONG = [
    *("", "/", "example.com", "//example.com", "http://", "http:///127.0.0.1", "http:127.0.0.1", "http:\\\\127.0.0.1"),
    *("ftp://example.com", "file:///etc/passwd", "gopher://example.com", "data:,x", "javascript:1", "unix:///run/x"),
    *("http://user@example.com", "http://user:password@example.com", "http://:password@example.com", "http://[::1"),
    *("http://example.com\\@127.0.0.1", "http://example.com:99999", "http://example.com:x"),
    *("http://127.0.0.1#@example.com", "http://127.0.0.1?@example.com", "http://@example.com@127.0.0.1"),
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("suffix", ["/", ":8080/latest/meta-data"])
async def test_no_internal_address_is_ever_connected_to(fetcher, scheme, suffix, refused):
    for host in INSIDE:
        why = await refused(fetcher(), f"{scheme}://{host}{suffix}")
        assert "not a public" in why or "not a host" in why, host


@pytest.mark.parametrize("url", WRONG)
async def test_only_plain_http_urls_are_fetched(fetcher, url, refused, names):
    known = names()
    assert "connect" not in (await refused(fetcher(known), url)).lower()
    assert known.asked == []


async def test_a_name_that_nobody_knows_is_refused(fetcher, refused):
    await refused(fetcher(), "http://unknown.test/")
    await refused(fetcher(), "http://nobody.test/")
    await refused(fetcher(), "http://[v1.x]/")
    await refused(fetcher(), "http://127.0.0.1%00.example.com/")


@pytest.mark.parametrize(
    "address",
    [
        *(PUBLIC, "1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "192.167.0.1", "223.255.255.255"),
        *("100.63.255.255", "100.128.0.1", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1"),
    ],
)
def test_public_addresses_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    ("host", "allowlist", "let_in"),
    [
        ("example.com", (), True),
        ("example.com", ("example.com",), True),
        ("EXAMPLE.com.", ("example.com",), True),
        ("www.example.com", ("example.com",), False),
        ("www.example.com", ("*.example.com",), True),
        ("a.b.example.com", ("*.example.com",), True),
        ("example.com", ("*.example.com",), False),
        ("badexample.com", ("*.example.com", "example.com"), False),
        ("example.com.evil.test", ("example.com", "*.example.com"), False),
        ("other.test", ("example.com", "other.test"), True),
    ],
)
def test_the_allowlist_names_hosts_or_all_below_one(host, allowlist, let_in):
    assert host_allowed(host, allowlist) is let_in
