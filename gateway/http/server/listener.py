"""Opens the listening socket, and closes it without losing connections that are being established."""

import ctypes
import socket
import struct
import sys

BACKLOG = 1024
"""The length of the accept queue."""
_TCP_USER_TIMEOUT = 120_000  # milliseconds

# Classic BPF. It runs on each TCP header that reaches the socket, drops segments with the SYN flag and passes the rest.
# (code, jump if true, jump if false, operand); see linux/filter.h.
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the flags
    (0x45, 0, 1, 0x02),  # SYN set?
    (0x06, 0, 0, 0),  # yes: drop the segment
    (0x06, 0, 0, 0xFFFF_FFFF),  # no: pass it
)
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; the socket module has no name for it
_TCP_INFO_SIZE, _UNACKED = 104, 24  # struct tcp_info in linux/tcp.h: tcpi_unacked of a listening socket is its queue


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Open a listening socket. On Linux, a connection ends if its peer acknowledges no data for two minutes; accepted
    sockets inherit this option.

    With `shared`, other processes of this user may listen on the same port (SO_REUSEPORT). Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shared)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT)
    return listening


def stop_accepting(listening: socket.socket) -> bool:
    """Stop accepting new connections but serve those already in the accept queue. False if the system can't do that.

    Closing a listening socket resets the connections in its accept queue. A proxy that has already sent a request on
    one of them must not send it again. So the kernel first drops the SYN of new connections. Their clients retry after
    a second; then the connection is refused, or another process accepts it.
    """
    if not sys.platform.startswith("linux"):
        return False
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_SYN))
    filter_program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program)
    except OSError:
        return False  # a sandboxed kernel does not support it, so connections in the queue may be reset
    return True


def queued_connections(listening: socket.socket) -> int:
    """The number of connections in the accept queue. Linux only."""
    info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    return int(struct.unpack_from("I", info, _UNACKED)[0])
