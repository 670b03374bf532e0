"""From a request to a run: the steps that every front end (HTTP, the command line) takes to run an agent."""
