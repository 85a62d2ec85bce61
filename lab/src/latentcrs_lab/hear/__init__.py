"""How the heads of `latentcrs.hear` are trained, and on what."""
