"""The ledger: one row for each request to a provider, written behind the answer, and the reports made from it."""
