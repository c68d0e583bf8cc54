"""A private network under attack: namespaces with attackers, good clients, a server, and the box between them.

The engine of `tidegate lab`: `appliance.lab.lab.run_lab` runs it and returns a `LabReport`, and
`appliance.lab.limit.run.find_limits` looks for the breaking point; printing is the command line's affair.
"""
