"""The outer links of the chain, one file each; `gateway.http.chain` says in which order."""
