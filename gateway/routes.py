"""All routes of the gateway. `gateway.http.chain` puts the checks around each handler."""

from functools import lru_cache

from gateway.access.bearer import bearer_or_api_key
from gateway.core.identity import Scope
from gateway.core.jsonio import dumps
from gateway.http.answers.response_recorder import responses_error_body
from gateway.http.answers.socket_turn import respond_to_event
from gateway.http.endpoints.chat_completions import chat_completions
from gateway.http.endpoints.compact_response import compact_response
from gateway.http.endpoints.configuration import get_configuration, reload_configuration
from gateway.http.endpoints.doctor import doctor, doctor_stream
from gateway.http.endpoints.embeddings import embeddings
from gateway.http.endpoints.health import live, ready, started
from gateway.http.endpoints.input_tokens import input_tokens
from gateway.http.endpoints.keys import create_key, list_keys, revoke_key
from gateway.http.endpoints.locks import list_locks, release_lock
from gateway.http.endpoints.message_tokens import count_message_tokens
from gateway.http.endpoints.messages import messages
from gateway.http.endpoints.metrics import metrics
from gateway.http.endpoints.models import ANTHROPIC_VERSION, get_model, list_models
from gateway.http.endpoints.openapi import openapi
from gateway.http.endpoints.responses import responses
from gateway.http.endpoints.responses_socket import responses_socket
from gateway.http.endpoints.runs import get_run
from gateway.http.endpoints.sessions import delete_session, export_session, get_session, list_sessions
from gateway.http.endpoints.status import status
from gateway.http.endpoints.stored_response import cancel_response, delete_response, get_response, list_input_items
from gateway.http.endpoints.usage import usage
from gateway.http.message_errors import MESSAGES_ERRORS
from gateway.http.openapi import document
from gateway.http.routes import ErrorForm, Handler, Route

_PROBE = ("GET", "HEAD")
_API_VERSION = "1"  # not the version of the program, which unauthenticated clients need not know

# Keys of `gateway.http.endpoints`. A route is enabled if one of its endpoints is; else it is a plain 404 (recorded).
_CHAT = frozenset({"chatCompletions"})
_RESPONSES = frozenset({"responses"})
_MESSAGES = frozenset({"messages"})
_ANY = _CHAT | _RESPONSES | _MESSAGES
_METRICS = frozenset({"metrics"})  # `gateway.metrics`, which is no endpoint of OpenClaw's
_RESPONSES_ERRORS = ErrorForm(responses_error_body)


def _messages(path: str, handler: Handler) -> Route:
    """A route for clients of Anthropic's API."""
    return Route(
        ("POST",),
        (path,),
        handler,
        Scope.WRITE,
        endpoints=_MESSAGES,
        credential=bearer_or_api_key,
        errors=MESSAGES_ERRORS,
        id_header="request-id",
    )


def _models(path: str, handler: Handler) -> Route:
    """A route for clients of OpenAI's and of Anthropic's API."""
    return Route(
        ("GET",),
        (path,),
        handler,
        Scope.READ,
        endpoints=_ANY,
        credential=bearer_or_api_key,
        errors_with=((ANTHROPIC_VERSION, MESSAGES_ERRORS),),
        id_header="request-id",
    )


ROUTES = (
    Route(_PROBE, ("/health", "/healthz"), live, None, public=True),
    Route(_PROBE, ("/startup", "/startupz"), started, None, public=True),
    Route(_PROBE, ("/ready", "/readyz"), ready, None, public=True),
    Route(("GET",), ("/openapi.json",), openapi, None, public=True),
    Route(("POST",), ("/v1/chat/completions",), chat_completions, Scope.WRITE, endpoints=_CHAT),
    Route(("POST",), ("/v1/responses",), responses, Scope.WRITE, endpoints=_RESPONSES, errors=_RESPONSES_ERRORS),
    Route(("GET",), ("/v1/responses",), responses_socket, Scope.WRITE, endpoints=_RESPONSES, upgrade=True),
    Route(("POST",), ("/v1/responses/compact",), compact_response, Scope.WRITE, endpoints=_RESPONSES),
    Route(("POST",), ("/v1/responses/input_tokens",), input_tokens, Scope.WRITE, endpoints=_RESPONSES),
    Route(("GET",), ("/v1/responses/{id:[^/]+}",), get_response, Scope.READ, endpoints=_RESPONSES),
    Route(("DELETE",), ("/v1/responses/{id:[^/]+}",), delete_response, Scope.WRITE, endpoints=_RESPONSES),
    Route(("GET",), ("/v1/responses/{id:[^/]+}/input_items",), list_input_items, Scope.READ, endpoints=_RESPONSES),
    Route(("POST",), ("/v1/responses/{id:[^/]+}/cancel",), cancel_response, Scope.WRITE, endpoints=_RESPONSES),
    _messages("/v1/messages", messages),
    _messages("/v1/messages/count_tokens", count_message_tokens),
    _models("/v1/models", list_models),
    _models("/v1/models/{id:.*}", get_model),
    Route(("POST",), ("/v1/embeddings",), embeddings, Scope.WRITE, endpoints=_ANY),
    Route(("GET",), ("/api/v1/runs/{id:.+}",), get_run, Scope.READ, endpoints=_ANY),
    Route(("GET",), ("/api/v1/usage",), usage, Scope.READ, endpoints=_ANY),
    Route(("GET",), ("/metrics", "/api/diagnostics/prometheus"), metrics, Scope.READ, endpoints=_METRICS),
    Route(("GET",), ("/api/v1/config",), get_configuration, Scope.READ),
    Route(("POST",), ("/api/v1/reload",), reload_configuration, Scope.ADMIN),
    Route(("GET",), ("/api/v1/status",), status, Scope.READ),
    Route(("GET",), ("/api/v1/doctor",), doctor, Scope.READ),
    Route(("GET",), ("/api/v1/doctor/stream",), doctor_stream, Scope.READ),
    Route(("GET",), ("/api/v1/locks",), list_locks, Scope.READ, endpoints=_ANY),
    Route(("DELETE",), ("/api/v1/locks",), release_lock, Scope.ADMIN, endpoints=_ANY),
    Route(("GET",), ("/api/v1/keys",), list_keys, Scope.ADMIN, endpoints=_ANY),
    Route(("POST",), ("/api/v1/keys",), create_key, Scope.ADMIN, endpoints=_ANY),
    Route(("DELETE",), ("/api/v1/keys/{name:[^/]+}",), revoke_key, Scope.ADMIN, endpoints=_ANY),
    Route(("GET",), ("/api/v1/sessions",), list_sessions, Scope.READ, endpoints=_ANY),
    Route(("GET",), ("/api/v1/sessions/{key:[^/]+}",), get_session, Scope.READ, endpoints=_ANY),
    Route(("GET",), ("/api/v1/sessions/{key:[^/]+}/export",), export_session, Scope.READ, endpoints=_ANY),
    Route(("DELETE",), ("/api/v1/sessions/{key:[^/]+}",), delete_session, Scope.ADMIN, endpoints=_ANY),
)


EVENTS = Route(("GET",), ("/v1/responses",), respond_to_event, Scope.WRITE, endpoints=_RESPONSES)
"""The events on a WebSocket. Each runs in the chain of a request of its own."""


@lru_cache(maxsize=8)  # half of what it costs to build an application, and the same after most reloads
def document_of(endpoints: frozenset[str]) -> bytes:
    """The OpenAPI document of the routes that these endpoints enable, as JSON."""
    return dumps(document([route for route in ROUTES if route.is_enabled(endpoints)], _API_VERSION))
