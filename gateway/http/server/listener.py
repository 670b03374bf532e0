"""The listening socket: how it is opened, and how it is closed without losing a caller who is just connecting."""

import ctypes
import socket
import struct
import sys

BACKLOG = 1024
"""Connections that may wait to be accepted."""
_UNACKNOWLEDGED = 120_000  # milliseconds

# Classic BPF, run on each TCP header that reaches the socket: drop what has the SYN flag, pass the rest.
# (code, jump if true, jump if false, operand); see linux/filter.h.
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the byte of the flags
    (0x45, 0, 1, 0x02),  # SYN set?
    (0x06, 0, 0, 0),  # yes: take nothing
    (0x06, 0, 0, 0xFFFF_FFFF),  # no: take all
)
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; the socket module has no name for it


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket. Connections whose peer acknowledges nothing for a while end by themselves, also while they
    are only written to now and then (Linux; accepted sockets inherit the option).

    `shared` lets other processes of this user listen beside it (SO_REUSEPORT). Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shared)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
    return made


def stop_accepting(listening: socket.socket) -> bool:
    """Let no new connection begin, while those that wait to be accepted stay. False where the system can't do that.

    Closing a listening socket resets what waits in its queue, and a proxy that has already sent its request there must
    not send it again. So newcomers are ignored first: they try once more by themselves, a second later, and are then
    refused, or served by whoever listens by then.
    """
    if not sys.platform.startswith("linux"):
        return False
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_SYN))
    filter_program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program)
    except OSError:
        return False  # a sandboxed kernel without it: the small risk above remains
    return True
