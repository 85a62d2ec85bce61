"""The other systems of the paper, each as its own paper says, on any prepared data set."""

TRAINED = ("attributes", "max-entropy", "crm", "unicorn", "crif")
"""Systems that ask no language model; the first two are `latentcrs`'s own."""
ASKED = ("zero-shot", "chat-rec", "interec")
"""Systems that do."""
