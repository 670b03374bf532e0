"""One file per check; `gateway.http.chain` says in which order."""
