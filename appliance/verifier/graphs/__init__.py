"""What an explanation looks like: a listing with the states (`listing`), a graph in Graphviz's language (`dot`)."""

from appliance.verifier.graphs.dot import draw
from appliance.verifier.graphs.listing import lines

__all__ = ["draw", "lines"]
