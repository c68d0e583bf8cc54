"""The calls that are served, one in each file: `(Office, Request) -> Result`."""
