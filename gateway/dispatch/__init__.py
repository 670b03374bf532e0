"""From a request to a run: what every front end (HTTP, the command line) does to ask an agent."""
