"""Logging without secrets. This package imports only `core`."""
