from pathlib import Path

from gateway.core.paths import user_path


def test_a_home_that_nobody_knows_stays_as_it_is_written(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert user_path("~/a") == Path("/home/me/a")
    assert user_path("~no-such-user/a") == Path("~no-such-user/a")
    assert user_path("/a") == Path("/a")
