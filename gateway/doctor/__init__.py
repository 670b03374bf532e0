"""`openclaw-gateway doctor`: looks for faults of a set-up, from file modes to providers' keys, at no cost."""
