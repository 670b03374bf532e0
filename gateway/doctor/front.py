"""Checks of what is between this machine and a running gateway: TLS, attribution of clients, and buffering."""

import ssl
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.doctor.certificate import WARNING_DAYS, expiry
from gateway.doctor.finding import Finding
from gateway.doctor.front_stream import Stream, request_stream

DECOY = "203.0.113.77"
"""An address of RFC 5737 that no client has."""
_DAY = 86_400.0
_FORBIDDEN = 403
_ATTRIBUTION = "proxy_attribution_required"
_NGINX = "proxy_set_header X-Forwarded-For $remote_addr"


def check_front(url: str, headers: Mapping[str, str], context: ssl.SSLContext, now: float) -> Iterator[Finding]:
    """Request a stream at `url` with these headers, one with a forged client address besides. It takes two seconds.

    `context` decides which certificates are good; `now` is Unix time in seconds.
    """
    address = urlsplit(url)
    try:
        stream = request_stream(address, headers, context)
        forged = {**headers, "X-Forwarded-For": DECOY, "X-Real-IP": DECOY}
        spoofed = None if not stream.arrivals else request_stream(address, forged, context, first_only=True)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        fix = "install the whole chain of a certificate for this name where TLS ends"
        yield Finding("front.tls", f"{url}: {reason}", fix)
        return
    except (OSError, HTTPException, ValueError) as error:
        yield Finding("front.unreachable", f"{url}: {error}", "correct --url, or start what listens there")
        return
    yield from _certificate(url, stream, now)
    if stream.arrivals:
        yield from _attribution(url, stream, spoofed)
        yield from _buffering(url, stream)
    elif stream.status == _FORBIDDEN and _ATTRIBUTION in stream.error:
        fix = f"list the proxy's address in gateway.trustedProxies (the gateway's log names it as peer), and {_NGINX}"
        yield Finding("front.attribution", f"{url}: the gateway can't tell who the client is", fix)
    else:
        seen = f"{url}: status {stream.status} instead of an event stream"
        yield Finding("front.unreachable", seen, "let the front end pass every path and header to the gateway")


def _certificate(url: str, stream: Stream, now: float) -> Iterator[Finding]:
    if stream.certificate is None:
        return
    days = (expiry(stream.certificate) - now) / _DAY
    if days <= WARNING_DAYS:
        seen = f"{url}: the certificate expires in {int(days)} days"
        yield Finding("front.tls-expiring", seen, "renew it where TLS ends, and see why that does not happen by itself")


def _attribution(url: str, stream: Stream, spoofed: Stream | None) -> Iterator[Finding]:
    event = stream.arrivals[0].event
    client, peer = str(event["client"]), event["peer"]
    if peer is not None and (peer["host"], peer["port"]) == stream.own:
        return  # nothing is in between
    if spoofed is not None and spoofed.arrivals and spoofed.arrivals[0].event["client"] == DECOY:
        seen = f"{url}: the gateway takes the X-Forwarded-For or X-Real-IP that a client sends for its address"
        fix = f"let the outermost proxy replace both headers: {_NGINX}; remove gateway.allowRealIpFallback"
        yield Finding("front.spoofable", seen, fix)
    elif client != stream.own[0] and _is_private(client):
        seen = f"{url}: the gateway sees the client {client}, and this machine has {stream.own[0]}"
        fix = f"let every proxy send the header ({_NGINX}), and list all of them in gateway.trustedProxies"
        yield Finding("front.client-hidden", seen, fix)


def _is_private(client: str) -> bool:
    """A public address may be that of a router between this machine and the gateway, so it proves nothing."""
    try:
        return not ip_address(client).is_global
    except ValueError:
        return True


def _buffering(url: str, stream: Stream) -> Iterator[Finding]:
    first, last = stream.arrivals[0], stream.arrivals[-1]
    sent = (last.event["milliseconds"] - first.event["milliseconds"]) / 1000
    arrived = last.at - first.at
    if arrived < sent / 2:
        seen = f"{url}: events that are sent within {sent:.1f} s arrive within {arrived:.1f} s"
        fix = "switch off buffering and compression of text/event-stream in front (nginx: proxy_buffering off)"
        yield Finding("front.buffers", seen, fix)
