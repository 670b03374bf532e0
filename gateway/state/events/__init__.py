"""What a run in the background has told so far, for whoever asks, on whichever instance."""
