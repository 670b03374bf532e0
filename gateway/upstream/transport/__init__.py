"""HTTP/1.1 to providers: POST over pooled connections, parsed by httptools (llhttp). Nothing here knows what is said.

aiohttp's client spends half of what a small request costs this process; see docs/decisions/0011.
"""
