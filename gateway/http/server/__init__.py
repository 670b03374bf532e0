"""The listening side: sockets, limits of a request's head, connections, drain and shutdown."""
