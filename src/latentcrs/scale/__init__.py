"""Past one machine: the work of other rooms on the workers of Ray. Nothing else imports this room but commands."""
