"""The server: listening sockets, the size limit of a request's head, connections, drain and shutdown."""
