"""Values: messages, turns, events, answers, names and errors. No I/O, no HTTP, no configuration."""
