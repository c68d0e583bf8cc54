"""Asking for a way in native code: from a FIB lookup to a route, a neighbour and a link."""
