"""HTTP/1.1 to providers: POST over pooled connections, parsed by httptools (llhttp). It does not interpret bodies.

aiohttp's client would take half of the time that a small request costs this process; see docs/decisions/0011.
"""
