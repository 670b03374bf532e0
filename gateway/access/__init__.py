"""Authentication: from a peer address and headers to a principal. No I/O, no HTTP framework, no counting."""
