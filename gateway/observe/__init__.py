"""What the gateway says about itself: logs, with secrets kept out. Knows `core` and nothing else."""
