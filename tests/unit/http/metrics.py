"""Reads `/metrics` with the parser of Prometheus' own client."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families


class Scraped:
    """One scrape. `scraped["name", {"label": "value"}]` is the sum of the samples that have these labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in families for sample in family.samples]
        self.families = {family.name: family for family in families}

    def __getitem__(self, key: Any) -> float:
        name, labels = (key, {}) if isinstance(key, str) else key
        return sum(
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def labels(self, name: str) -> list[dict[str, str]]:
        return [sample.labels for sample in self.samples if sample.name == name]

    @property
    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in self.samples}


async def scraped(client: Any, **options: Any) -> Scraped:
    async with client.get("/metrics", **options) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return Scraped(await response.text())
