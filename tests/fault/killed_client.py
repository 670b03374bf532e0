"""A client that streams answers until it is killed: `python killed_client.py PORT TOKEN NAME`.

It prints the marker of each request before it sends it, so that the last line names the request that the kill broke.
"""

import http.client
import itertools
import json
import sys


def main(port: int, token: str, name: str) -> None:
    """Send one request after the other. It never returns."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in itertools.count():
        marker = f"process-{name}-{number}"
        sys.stdout.write(f"{marker}\n")
        sys.stdout.flush()
        body = {"model": "openclaw", "stream": True, "messages": [{"role": "user", "content": marker}]}
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "x-request-id": marker,
        }
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            connection.getresponse().read()
        except (http.client.HTTPException, OSError):  # a fault of the provider; the next request needs a new connection
            connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
