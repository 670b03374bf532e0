"""All peers of a link: what the link does with each of them."""

from openclaw_ratelimit.errors import StorageUnavailable, UsageError
from openclaw_ratelimit.events import log
from openclaw_ratelimit.peer import Ask, Peer


class Peers:
    """The peers of the link `name`, in the order in which they were added."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._peers: list[Peer] = []
        self._kinds: set[str] = set()

    def add(self, peer: Peer, kind: str | None) -> None:
        """Raises UsageError for a second peer of the same `kind`."""
        if kind in self._kinds:
            raise UsageError(f"link {self._name!r} has a user of kind {kind!r} already: give this one another `kind`")
        if kind is not None:
            self._kinds.add(kind)
        self._peers.append(peer)

    async def join(self, ask: Ask) -> None:
        """Bring the peers and the storage in step. Raises StorageUnavailable.

        Meanwhile the peers decide alone. When this returns, the storage has all their decisions.
        """
        for peer in self._peers:
            await peer.join(ask)
        await self._catch_up(ask)

    async def beat(self, ask: Ask) -> None:
        """One heartbeat. Raises StorageUnavailable when a peer and the storage differ."""
        for peer in self._peers:
            await peer.beat(ask)
        await self._catch_up(ask)  # a rejected call may have been decided here

    async def hear(self, message: bytes) -> None:
        """Pass a message to all peers. Raises StorageUnavailable when messages were lost."""
        for peer in self._peers:
            try:
                await peer.hear(message)
            except StorageUnavailable:
                raise
            except Exception:  # noqa: BLE001  one message must not end the link for all its users
                log.exception("%s: a message could not be read", self._name)

    async def _catch_up(self, ask: Ask) -> None:
        while any(peer.behind for peer in self._peers):
            for peer in self._peers:
                await peer.catch_up(ask)
