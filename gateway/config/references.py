"""Names of agents that the configuration uses must exist. Names of providers and models are checked above this layer,
where the built-in ones are known (`gateway.validation`).
"""

from collections.abc import Collection, Iterator

from gateway.config.problems import Problem, join
from gateway.config.root import Config
from gateway.config.shape import nearest


def check(config: Config) -> Iterator[Problem]:
    """Unknown agents."""
    agents = config.agents
    if agents.default is not None and agents.default not in agents.entries:
        owner = agents.defaults.system_agent.agent_id
        path = "agents.defaults.systemAgent.agentId" if owner == agents.default else "agents.default"
        yield Problem(path, _no_agent(agents.default, agents.entries))
    for index, limit in enumerate(config.gateway.limits):
        path = f"{join('gateway.limits', index)}.agents"
        for position, agent in enumerate(limit.agents):
            if agent not in config.agents.entries:
                yield Problem(join(path, position), _no_agent(agent, config.agents.entries))
    for name, key in config.gateway.keys.items():
        for position, agent in enumerate(key.agents or ()):
            if agent not in config.agents.entries:
                path = join(f"{join('gateway.keys', name)}.agents", position)
                yield Problem(path, _no_agent(agent, config.agents.entries))


def _no_agent(agent: str, known: Collection[str]) -> str:
    near = nearest(agent, known)
    return f"there is no agent {agent!r}; " + (f"did you mean {near!r}?" if near else "add it to agents.entries")
