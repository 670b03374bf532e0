"""Conversations that outlive their requests, and who may add to one just now."""
