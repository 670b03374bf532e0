"""A real Prometheus that scrapes one gateway, for as long as a test needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.process import free_port, running

_INTERVAL = 1  # seconds between scrapes


class Prometheus:
    """`url` is the gateway's, `token` may read its metrics; `rules` is the file of alerts."""

    def __init__(self, directory: Path, url: str, token: str, rules: Path) -> None:
        self._directory = directory
        self._port = free_port()
        (directory / "token").write_text(token, encoding="utf-8")
        self._config = directory / "prometheus.yml"
        self._config.write_text(
            f"""
global: {{scrape_interval: {_INTERVAL}s, evaluation_interval: {_INTERVAL}s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: openclaw-gateway
    authorization: {{credentials_file: "{directory / "token"}"}}
    static_configs: [{{targets: ["{url.removeprefix("http://")}"]}}]
""",
            encoding="utf-8",
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Start it, and stop it at the end."""
        command = [
            "prometheus",
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        async with running(command) as process:
            await process.wait_for_output("Server is ready to receive web requests")
            yield self

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query. Fails for an invalid one."""
        return (await self._get("query", query=expression))["result"]

    async def rules(self) -> list[dict[str, Any]]:
        """The alert rules, once all were evaluated."""
        while True:
            groups = (await self._get("rules"))["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules):
                return rules
            await asyncio.sleep(0.2)

    async def scraped_again(self) -> None:
        """Wait until it has scraped the gateway once more."""
        expression = 'count_over_time(up{job="openclaw-gateway"}[5m])'

        async def scrapes() -> float:
            result = await self.query(expression)
            return float(result[0]["value"][1]) if result else 0.0

        before = await scrapes()
        async with asyncio.timeout(30):
            while await scrapes() <= before:
                await asyncio.sleep(0.2)

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}"
        async with aiohttp.ClientSession() as session, session.get(url, params=query) as response:
            body = await response.json()
        assert body["status"] == "success", body
        return body["data"]
