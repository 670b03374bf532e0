"""One file per link of the chain; `gateway.http.chain` says in which order."""
