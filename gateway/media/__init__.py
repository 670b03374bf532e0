"""Images and files in requests, checked against limits."""
