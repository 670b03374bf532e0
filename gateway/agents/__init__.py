"""What an agent is: its prompt, model chain, parameters and tools."""
