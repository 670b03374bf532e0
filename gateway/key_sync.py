"""Tells other instances about changed client keys over Redis, and compares what this one has at each heartbeat.

Messages hold a version and the name of a key. Each instance reads the key itself from the store, so a message that
somebody else publishes opens nothing.
"""

from gateway.access.key_registry import KeyRegistry
from gateway.core.client_key import is_key_name
from gateway.state.keys.redis import read_version, version_key
from gateway.state.script import load_script
from openclaw_ratelimit import Argument, Ask, ReplicationLink

KEY_VERSION = load_script(__file__, "key_version")

_PREFIX = b"client-keys "  # other senders use the same channel


class KeySync:
    """Keeps the replicas of all instances in step (`openclaw_ratelimit.Peer`)."""

    def __init__(self, link: ReplicationLink, registry: KeyRegistry) -> None:
        self._link = link
        self._registry = registry
        registry.announce = self._publish
        link.add(self)

    @property
    def behind(self) -> bool:
        """See Peer. Always False: the registry itself repeats what the store does not have yet."""
        return False

    async def join(self, ask: Ask) -> None:  # noqa: ARG002
        """See Peer. Messages were lost while the link was away."""
        self._registry.read_again()

    async def catch_up(self, ask: Ask) -> None:
        """See Peer."""

    async def hear(self, message: bytes) -> None:
        """See Peer."""
        if not message.startswith(_PREFIX):
            return
        version, _, name = message.removeprefix(_PREFIX).decode("utf-8", "replace").partition(" ")
        if version.isascii() and version.isdecimal() and is_key_name(name):
            self._registry.heard(int(version), name)

    async def beat(self, ask: Ask) -> None:
        """See Peer."""
        self._registry.compare(read_version(await ask(KEY_VERSION, [self._key()], [])))

    def _key(self) -> str:
        return version_key(self._link.name)

    def _publish(self, version: int, name: str) -> None:
        arguments: list[Argument] = [self._link.channel, _PREFIX + f"{version} {name}".encode()]
        self._link.post(KEY_VERSION, [self._key()], arguments)
