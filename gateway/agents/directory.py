"""The agents by the names that clients use, and the list of `/v1/models`. A client sees only those that it may use."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.agents.agent import Agent
from gateway.core.errors import AgentNotAllowed, BadRequest, NotFound
from gateway.core.identity import Principal
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
        self._agent_of = {name: _agent_id(name, default) for name in names}

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Every agent, in the order of the configuration."""
        return tuple(self._agents.values())

    def resolve(self, model: str, selected: str | None, principal: Principal) -> Agent:
        """The agent of a request; `selected` is `x-openclaw-agent-id` and wins, but `model` must be well-formed.

        A blank `model` means the default agent. Raises BadRequest (texts as recorded), and AgentNotAllowed.
        """
        target = parse_agent_target(model) if model.strip() else parse_agent_target("openclaw")
        if target is None:
            raise BadRequest("Invalid `model`. Use `openclaw` or `openclaw/<agentId>`.", param="model")
        if selected is not None:
            return self._agent(selected.lower(), selected, "x-openclaw-agent-id", principal)
        if target.id is None:
            return self._agent(self.default.id, self.default.id, "model", principal)
        return self._agent(target.id, target.id, "model", principal)

    def _agent(self, agent_id: str, name: str, param: str, principal: Principal) -> Agent:
        agent = self._agents.get(agent_id)
        if agent is None:
            raise BadRequest(f"Unknown agent '{name[:80]}'.", param=param, code="unknown_agent")
        if not principal.may_use(agent_id):
            raise AgentNotAllowed(agent_id, param)
        return agent

    def models(self, principal: Principal) -> dict[str, Any]:
        """The body of `GET /v1/models`."""
        models = [model for name, model in self._models.items() if principal.may_use(self._agent_of[name])]
        return {"object": "list", "data": models}

    def anthropic_models(self, principal: Principal) -> list[dict[str, Any]]:
        """The models of `GET /v1/models` for Anthropic's clients."""
        named = self._anthropic_models.items()
        return [model for name, model in named if principal.may_use(self._agent_of[name])]

    def anthropic_model(self, model_id: str, principal: Principal) -> dict[str, Any]:
        """The body of `GET /v1/models/{id}` for Anthropic's clients. Raises NotFound."""
        if (model := self._anthropic_models.get(model_id)) and principal.may_use(self._agent_of[model_id]):
            return model
        raise NotFound(f"Model '{model_id}' not found.", code="model_not_found")

    def model(self, model_id: str, principal: Principal) -> dict[str, Any]:
        """The body of `GET /v1/models/{id}`: exact ids only (recorded). Raises BadRequest or NotFound."""
        if (model := self._models.get(model_id)) and principal.may_use(self._agent_of[model_id]):
            return model
        if not model_id:
            raise BadRequest("Missing model id.")
        if parse_agent_target(model_id) is None:
            raise BadRequest("Invalid model id. Use `openclaw` or `openclaw/<agentId>`.")
        raise NotFound(f"Model '{model_id}' not found.", code="model_not_found")


def _agent_id(name: str, default: str) -> str:
    target = parse_agent_target(name)
    return default if target is None or target.id is None else target.id


def _model_object(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "openclaw", "permission": []}


def _anthropic_object(name: str) -> dict[str, Any]:
    described = {"display_name": name, "created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"}
    return {"type": "model", "id": name, **described}
