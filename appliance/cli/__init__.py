"""The command line: `tidegate COMMAND …`. One file per command; the only room that prints."""

from appliance.cli.main import main

__all__ = ["main"]
