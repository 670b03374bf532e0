"""Stores for data that outlives a request: SQLite for one instance, Redis for several."""
