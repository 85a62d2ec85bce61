"""The other systems of the paper's tables, each as its own paper says, on any prepared data set."""
