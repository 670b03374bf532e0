import pytest

from gateway.config.redis_url import RedisAddress, parse_redis_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RedisAddress("server", hosts=(("cache", 6379),))),
        ("redis://10.0.0.1:7000/3", RedisAddress("server", hosts=(("10.0.0.1", 7000),), database=3)),
        ("redis://cache?db=3", RedisAddress("server", hosts=(("cache", 6379),), database=3)),
        ("redis://cache/3?db=3", RedisAddress("server", hosts=(("cache", 6379),), database=3)),
        ("redis://:s3cret@cache/", RedisAddress("server", hosts=(("cache", 6379),), password="s3cret")),
        ("redis://:p#q?r/s@cache/2", RedisAddress("server", hosts=(("cache", 6379),), password="p#q?r/s", database=2)),
        ("redis://me:a%40b@cache", RedisAddress("server", hosts=(("cache", 6379),), username="me", password="a@b")),
        ("rediss://[2001:db8::1]:6380", RedisAddress("server", True, (("2001:db8::1", 6380),))),
        ("redis://[::1]", RedisAddress("server", hosts=(("::1", 6379),))),
        ("unix:///run/redis.sock?db=2", RedisAddress("socket", path="/run/redis.sock", database=2)),
        (
            "redis+sentinel://:p@one,two:26380/mymaster/1",
            RedisAddress(
                "sentinel", hosts=(("one", 26379), ("two", 26380)), service="mymaster", database=1, password="p"
            ),
        ),
        ("rediss+cluster://a:7000,b", RedisAddress("cluster", True, (("a", 7000), ("b", 6379)))),
        ("redis+cluster://a/0", RedisAddress("cluster", hosts=(("a", 6379),))),
    ],
)
def test_every_form_is_read(url, address):
    assert parse_redis_url(url) == address


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("cache:6379", "begin with"),
        ("http://cache", "begin with"),
        ("redis://", "hosts"),
        ("redis://cache:port", "hosts"),
        ("redis://cache:70000", "hosts"),
        ("redis://[::1]x", "hosts"),
        ("redis://a,b", "several hosts"),
        ("redis://cache/first", "database"),
        ("redis+sentinel://one,two", "service"),
        ("redis+cluster://a/1", "only one"),
        ("redis+cluster://a?db=1", "only one"),
        ("redis://cache/2?db=3", "two databases"),
        ("redis://cache?db=first", "database"),
        ("rediss://cache?ssl_ca_certs=/etc/ca.pem", "'ssl_ca_certs' in its query"),
        ("unix:///run/redis.sock?foo=bar", "'foo' in its query"),
        ("unix://run/redis.sock", "absolute"),
        ("redis://cache?db=1&db=2", "one database"),
        ("redis://cache?db=", "one database"),
        ("redis://cache?db=/", "one database"),
        ("redis://cache#3", "has a #"),
        ("redis://cache/0#3", "has a #"),
        ("redis://cache?db=1#3", "has a #"),
        ("redis://[::1", "hosts"),
        ("redis://my cache", "hosts"),
        ("redis+sentinel://one, two/mymaster", "hosts"),
    ],
)
def test_a_malformed_url_is_refused_without_quoting_it(url, text):
    with pytest.raises(ValueError, match=text) as refused:
        parse_redis_url(url.replace("://", "://:s3cret@"))
    assert "s3cret" not in str(refused.value)


def test_the_password_is_not_shown():
    assert "s3cret" not in repr(parse_redis_url("redis://:s3cret@cache"))
