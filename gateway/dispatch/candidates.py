"""The candidates that a configuration can ask: for metrics and operators, who look at all of them."""

from collections.abc import Iterator

from gateway.core.names import ModelRef
from gateway.dispatch.snapshot import Snapshot
from gateway.runs.candidates import Candidate


def candidates_of(snapshot: Snapshot) -> Iterator[Candidate]:
    """The models of all agents, with each of their keys."""
    refs: dict[ModelRef, None] = dict.fromkeys(ref for agent in snapshot.directory.agents for ref in agent.candidates)
    for ref in refs:
        provider = snapshot.runs.providers.get(ref.provider)
        if provider is not None:
            row, model = provider.row_for(ref.model), provider.model(ref.model)
            for one in (row, *row.others):
                yield Candidate(ref, one, model)
