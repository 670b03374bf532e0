"""Alerts that are posted to a real HTTP server: signed, repeated, and bounded."""

import asyncio
import hashlib
import hmac
import json

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.alerts.webhook import MAX_WAITING, Webhook

SECRET = "a-shared-secret"


def to(url, **settings):
    webhook = Webhook(**settings)
    webhook.configure(url, SECRET)
    return webhook


class Receiver:
    def __init__(self):
        self.statuses = []
        self.received = []
        self.url = ""

    async def handle(self, request):
        self.received.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, headers={"Location": "/elsewhere"})


@pytest.fixture
async def receiver(aiohttp_server):
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.handle)
    server = await aiohttp_server(app)
    receiver.url = str(server.make_url("/hook?key=of-the-url"))
    return receiver


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def webhook(receiver, pauses):
    async def sleep(seconds):
        pauses.append(seconds)

    return to(receiver.url, clock=lambda: 1_800_000_000.7, sleep=sleep)


async def test_an_alert_is_signed_with_its_time(webhook, receiver):
    async with webhook:
        webhook.post({"type": "budget.warning", "percent": 80})
    ((headers, body),) = receiver.received
    assert json.loads(body) == {"type": "budget.warning", "percent": 80}
    expected = hmac.new(SECRET.encode(), b"1800000000." + body, hashlib.sha256).hexdigest()
    assert headers["x-openclaw-signature"] == f"t=1800000000,v1={expected}"


@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_an_alert_is_repeated_after_a_failure_that_may_pass(webhook, receiver, pauses, status):
    receiver.statuses = [status, status]
    async with webhook:
        webhook.post({"n": 1})
    assert [body for _, body in receiver.received] == [b'{"n":1}'] * 3
    assert 0.5 <= pauses[0] <= 1.0 <= pauses[1] <= 2.0


@pytest.mark.parametrize("status", [400, 404, 302])
async def test_an_alert_that_is_not_wanted_is_not_repeated_and_redirects_are_not_followed(webhook, receiver, status):
    receiver.statuses = [status]
    with capture_logs() as logged:
        async with webhook:
            webhook.post({"n": 1})
    assert len(receiver.received) == 1
    assert logged[0]["reason"] == f"status {status}"
    assert "of-the-url" not in repr(logged)
    assert SECRET not in repr(logged)


async def test_a_server_that_is_not_there_ends_the_attempts(pauses):
    async def sleep(seconds):
        pauses.append(seconds)

    webhook = to("http://127.0.0.1:1/", sleep=sleep)
    with capture_logs() as logged:
        async with webhook:
            webhook.post({"n": 1})
    assert len(pauses) == 5
    assert logged[-1]["event"] == "An alert is lost: the webhook does not take it"


async def test_what_waits_is_bounded():
    webhook = to("http://127.0.0.1:1/")
    with capture_logs() as logged:
        for number in range(MAX_WAITING + 1):
            webhook.post({"n": number})
    assert [line["event"] for line in logged] == ["An alert is lost: too many wait for the webhook"]


async def test_the_end_waits_for_what_is_under_way_in_order(webhook, receiver):
    async with webhook:
        for number in range(5):
            webhook.post({"n": number})
        await asyncio.sleep(0)
    assert [json.loads(body)["n"] for _, body in receiver.received] == [0, 1, 2, 3, 4]


async def test_nothing_is_sent_without_a_url(webhook, receiver):
    async with webhook:
        webhook.configure(None, None)
        webhook.post({"n": 1})
        webhook.configure(receiver.url, "another-secret")
        webhook.post({"n": 2})
    assert [body for _, body in receiver.received] == [b'{"n":2}']


@pytest.mark.parametrize("host", ["hooks..example", "a" * 64 + ".example"])
async def test_a_host_name_that_can_not_be_encoded_loses_its_alerts_and_no_later_ones(receiver, pauses, webhook, host):
    webhook.configure(f"http://{host}/hook", SECRET)
    with capture_logs() as logs:
        async with webhook:
            webhook.post({"n": 1})
            async with asyncio.timeout(10):
                await webhook._waiting.join()
            webhook.configure(receiver.url, SECRET)
            webhook.post({"n": 2})
    assert [json.loads(body) for _, body in receiver.received] == [{"n": 2}]
    (line,) = logs
    assert (line["event"], line["host"]) == ("An alert is lost: the webhook does not take it", host)
    assert pauses == []  # another attempt would be of no use
