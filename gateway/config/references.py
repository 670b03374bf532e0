"""Names of agents that the configuration uses must exist. Names of providers and models are checked above this layer,
where the built-in ones are known (`gateway.validation`).
"""

from collections.abc import Collection, Iterator

from gateway.config.problems import Problem, join
from gateway.config.root import Config
from gateway.config.shape import nearest


def check(config: Config) -> Iterator[Problem]:
    """A missing default agent, and unknown agents."""
    yield from _default_agent(config)
    for index, limit in enumerate(config.gateway.limits):
        path = f"{join('gateway.limits', index)}.agents"
        for position, agent in enumerate(limit.agents):
            if agent not in config.agents.entries:
                yield Problem(join(path, position), _no_agent(agent, config.agents.entries))


def _default_agent(config: Config) -> Iterator[Problem]:
    agents = config.agents
    marked = [name for name, entry in agents.entries.items() if entry.default]
    if agents.default is None and marked:
        yield Problem("agents.default", f"several agents are marked as default ({', '.join(marked)}); name one here")
    elif agents.default is None:
        names = ", ".join(agents.entries)
        yield Problem(
            "agents.default", f"is missing, and of several agents ({names}) none is called main; name one here"
        )
    elif agents.default not in agents.entries:
        yield Problem("agents.default", _no_agent(agents.default, agents.entries))


def _no_agent(agent: str, known: Collection[str]) -> str:
    near = nearest(agent, known)
    return f"there is no agent {agent!r}; " + (f"did you mean {near!r}?" if near else "add it to agents.entries")
