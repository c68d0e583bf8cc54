"""The commands, one file each; `main` imports the one that was asked for."""
