"""Stored responses, which clients can read, continue and delete."""
