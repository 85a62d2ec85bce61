"""The experiments of the paper: ablations, sensitivity, curves, the map of intents, and what the paper reports."""
