"""What models want back with their calls, by the id of the call."""
