"""Whether an address belongs to this machine, according to the kernel's routing table."""

import socket

_ANY_PORT = 9  # Connecting a datagram socket only selects a route and sends nothing, so any port works.


def is_own_address(host: str) -> bool:
    """Whether `host` (an IP address) is an address of this machine.

    The kernel's source address for an own address is that same address; for any other it differs. Without a route the
    result is True, so the only caller does not trust the address (recorded).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as unsent:
            unsent.connect((host, _ANY_PORT))
            return bool(unsent.getsockname()[0] == host)
    except OSError:
        return True
