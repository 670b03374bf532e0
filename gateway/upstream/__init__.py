"""Providers: rows, HTTP client, transport, and the embedded model. No other package calls providers."""
