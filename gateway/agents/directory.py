"""The agents by the names that clients use, and the list of `/v1/models`."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.agents.agent import Agent
from gateway.core.errors import BadRequest, NotFound
from gateway.core.names import CLAUDE_NAME, parse_agent_target


class Directory:
    """All agents of one configuration; `default` is the id behind `openclaw` and `openclaw/default`."""

    def __init__(self, agents: Sequence[Agent], default: str) -> None:
        self._agents: Mapping[str, Agent] = {agent.id: agent for agent in agents}
        self.default = self._agents[default]
        others = (agent.id for agent in agents if agent.id != default)
        names = ["openclaw", "openclaw/default", f"openclaw/{default}", *(f"openclaw/{name}" for name in others)]
        self._models = {name: _model_object(name) for name in names}
        # Claude Code lists only names that begin with `claude`.
        names += [CLAUDE_NAME, *(f"{CLAUDE_NAME}-{agent.id}" for agent in agents)]
        self._anthropic_models = {name: _anthropic_object(name) for name in names}

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Every agent, in the order of the configuration."""
        return tuple(self._agents.values())

    def resolve(self, model: str, selected: str | None) -> Agent:
        """The agent of a request; `selected` is `x-openclaw-agent-id` and wins, but `model` must be well-formed.

        A blank `model` means the default agent. Raises BadRequest (texts as recorded).
        """
        target = parse_agent_target(model) if model.strip() else parse_agent_target("openclaw")
        if target is None:
            raise BadRequest("Invalid `model`. Use `openclaw` or `openclaw/<agentId>`.", param="model")
        if selected is not None:
            return self._agent(selected.lower(), selected, "x-openclaw-agent-id")
        if target.id is None:
            return self.default
        return self._agent(target.id, target.id, "model")

    def _agent(self, agent_id: str, name: str, param: str) -> Agent:
        agent = self._agents.get(agent_id)
        if agent is None:
            raise BadRequest(f"Unknown agent '{name[:80]}'.", param=param, code="unknown_agent")
        return agent

    def models(self) -> dict[str, Any]:
        """The body of `GET /v1/models`."""
        return {"object": "list", "data": list(self._models.values())}

    def anthropic_models(self) -> dict[str, Any]:
        """The body of `GET /v1/models` for Anthropic's clients."""
        names = list(self._anthropic_models)
        data = list(self._anthropic_models.values())
        return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}

    def anthropic_model(self, model_id: str) -> dict[str, Any]:
        """The body of `GET /v1/models/{id}` for Anthropic's clients. Raises NotFound."""
        if model := self._anthropic_models.get(model_id):
            return model
        raise NotFound(f"Model '{model_id}' not found.", code="model_not_found")

    def model(self, model_id: str) -> dict[str, Any]:
        """The body of `GET /v1/models/{id}`: exact ids only (recorded). Raises BadRequest or NotFound."""
        if model := self._models.get(model_id):
            return model
        if not model_id:
            raise BadRequest("Missing model id.")
        if parse_agent_target(model_id) is None:
            raise BadRequest("Invalid model id. Use `openclaw` or `openclaw/<agentId>`.")
        raise NotFound(f"Model '{model_id}' not found.", code="model_not_found")


def _model_object(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "openclaw", "permission": []}


def _anthropic_object(name: str) -> dict[str, Any]:
    described = {"display_name": name, "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"}
    return {"type": "model", "id": name, **described}
