"""nginx in front of gateways with known ports, in turn."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.process import free_port
from tests.servers import nginx

# Everybody is on this machine, so a header that only nginx reads names the caller. nginx uses a dead gateway
# again as soon as it has restarted.
_CONFIG = """
events {{ worker_connections 4096; }}
http {{
  access_log off;
  map $http_x_client $client {{ default $http_x_client; "" 203.0.113.1; }}
  upstream gateways {{ {servers} keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $client;
      proxy_next_upstream error;
      proxy_read_timeout 120s;
    }}
  }}
}}
"""


@asynccontextmanager
async def in_front_of(ports: Sequence[int], directory: Path) -> AsyncIterator[str]:
    """The URL; the header `X-Client` sets the address of the caller."""
    directory.mkdir()
    port = free_port()
    servers = " ".join(f"server 127.0.0.1:{behind} max_fails=0;" for behind in ports)
    async with nginx(directory, _CONFIG.format(servers=servers, port=port)):
        yield f"http://127.0.0.1:{port}"
