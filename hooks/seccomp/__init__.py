"""System calls that wait for somebody's answer: filters, the listener, and what is done in the caller's place."""
