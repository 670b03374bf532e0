"""Keys of clients: their records, without the keys, and when they were last used."""
