"""Loops and callbacks: what one iteration adds, and how many there can be."""
