"""What each instruction demands of the state before it, and what it does to it (its transfer)."""
