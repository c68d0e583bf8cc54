"""The ways out of the machine as programs may ask for them: tables in plain memory, sorted for the search."""
