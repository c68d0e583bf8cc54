"""The ways out of this machine, as the kernel knows them: links, routes, neighbours and policy rules."""
