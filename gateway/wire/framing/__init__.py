"""How events are framed on the wire."""
