"""Traces of requests, attempts and tool calls for an OpenTelemetry collector."""
