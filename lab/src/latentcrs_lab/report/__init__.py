"""Every table and picture of README, documentation and laboratory, out of one run that can be interrupted."""
