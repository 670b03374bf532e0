"""The tables of the SQLite file as a list of migrations. Never edit a released migration; append a new one."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE responses (
            id TEXT PRIMARY KEY, subject TEXT, expires REAL NOT NULL, bytes INTEGER NOT NULL, facts BLOB NOT NULL,
            body BLOB NOT NULL, input BLOB NOT NULL, messages BLOB NOT NULL
        ) STRICT
        """,
        "CREATE INDEX responses_by_end ON responses (expires, bytes)",
    ),
    (
        "CREATE TABLE background_runs (name TEXT PRIMARY KEY, until REAL NOT NULL, standing TEXT NOT NULL) STRICT",
        """
        CREATE TABLE background_events (
            name TEXT NOT NULL REFERENCES background_runs ON DELETE CASCADE, number INTEGER NOT NULL,
            event BLOB NOT NULL, PRIMARY KEY (name, number)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE sessions (
            id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, owner TEXT, agent TEXT NOT NULL, created REAL NOT NULL,
            updated REAL NOT NULL, bytes INTEGER NOT NULL, entries INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX sessions_by_use ON sessions (updated)",
        """
        CREATE TABLE entries (
            id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
            entry BLOB NOT NULL
        ) STRICT
        """,
        "CREATE INDEX entries_of_session ON entries (session)",
    ),
    ("CREATE INDEX sessions_by_owner ON sessions (owner, updated)",),
    ("CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT",),
    (
        """
        CREATE TABLE usage_segments (
            time REAL NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (time, id)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        "CREATE TABLE client_keys (name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, record BLOB NOT NULL) STRICT",
        "CREATE TABLE client_key_uses (name TEXT PRIMARY KEY, used REAL NOT NULL) STRICT",
        """
        CREATE TABLE budget_windows (
            key TEXT PRIMARY KEY, width INTEGER NOT NULL, age REAL NOT NULL, previous INTEGER NOT NULL,
            current INTEGER NOT NULL, stored REAL NOT NULL
        ) STRICT
        """,
    ),
)
