"""The command `latentcrs-lab`."""
