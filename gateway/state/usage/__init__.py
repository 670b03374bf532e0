"""Stores of the ledger: a contract, SQLite and Redis."""
