from gateway.http.routes import template_of
from gateway.routes import EVENTS, ROUTES


def test_a_template_has_the_names_of_parameters_without_their_patterns():
    templates = {template_of(route) for route in ROUTES}
    assert {"/health", "/v1/chat/completions", "/v1/responses/{id}/input_items", "/api/v1/sessions/{key}"} <= templates
    assert not [template for template in templates if "[" in template or ":" in template]


def test_connections_of_websockets_are_not_requests_of_their_route():
    assert template_of(EVENTS) == "/v1/responses"
    (socket,) = (route for route in ROUTES if route.upgrade)
    assert template_of(socket) == "/v1/responses (WebSocket)"
