"""One file per check. `gateway.http.chain` has their order."""
