"""Alerts to systems of the operator."""
