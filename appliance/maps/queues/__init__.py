"""Values without keys: queues and stacks."""
