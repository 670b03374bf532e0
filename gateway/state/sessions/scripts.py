"""The Lua scripts of conversations in Redis, for Redis 6.2. They use the server's time: instances' clocks may differ.

KEYS of each script: 1 a hash of facts, 2 the list of entries, 3 the queue, a sorted set of waiting tokens in order of
arrival, 4 a hash that says until when each waiting token counts as alive. All keys share a hash tag, so a cluster
stores them together. In the facts, `holder` is the token of the lease and `until` its end (ms).
"""

from gateway.state.script import load_script

ACQUIRE_LEASE = load_script(__file__, "acquire_lease")
RENEW_LEASE = load_script(__file__, "renew_lease")
RELEASE_LEASE = load_script(__file__, "release_lease")
APPEND_ENTRY = load_script(__file__, "append_entry")
READ_SESSION = load_script(__file__, "read_session")
COUNT_ENTRIES = load_script(__file__, "count_entries")
DELETE_SESSION = load_script(__file__, "delete_session")
