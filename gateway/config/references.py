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
    gateway = config.gateway
    rules = (
        *((join("gateway.limits", index), limit.agents) for index, limit in enumerate(gateway.limits)),
        *((join("gateway.budgets", index), budget.agents) for index, budget in enumerate(gateway.budgets)),
        *((join("gateway.keys", name), key.agents or ()) for name, key in gateway.keys.items()),
    )
    for path, names in rules:
        for position, agent in enumerate(names):
            if agent not in agents.entries:
                yield Problem(join(f"{path}.agents", position), _no_agent(agent, agents.entries))


def _no_agent(agent: str, known: Collection[str]) -> str:
    near = nearest(agent, known)
    return f"there is no agent {agent!r}; " + (f"did you mean {near!r}?" if near else "add it to agents.entries")
