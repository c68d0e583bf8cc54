"""What an explanation looks like: a listing with the states (`listing`), a graph in Graphviz's language (`dot`)."""

from appliance.verifier.pictures.dot import draw
from appliance.verifier.pictures.listing import lines

__all__ = ["draw", "lines"]
