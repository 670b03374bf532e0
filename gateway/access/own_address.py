"""Whether an address belongs to this machine, asked of the kernel's routing; interfaces are not enumerated."""

import socket

_ANY_PORT = 9  # Connecting a datagram socket only picks a route; nothing is sent, so the port means nothing.


def is_own_address(host: str) -> bool:
    """Whether `host` (an IP address) is one of this machine's own.

    The kernel speaks to an own address from that same address, and to any other from a different one. When it has no
    route at all the answer is yes, which for our one caller means: not trusted (as recorded).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as unsent:
            unsent.connect((host, _ANY_PORT))
            return bool(unsent.getsockname()[0] == host)
    except OSError:
        return True
