"""Layer 6: who is calling. Peer address and headers in, values out; no I/O, no HTTP framework, no counting."""
