"""One YAML document is a box: its configuration, its life from start to end, and its reloads."""

from appliance.box.box import Box
from appliance.box.config import BoxConfig, load_box_config
from appliance.box.generation import Generation

__all__ = ["Box", "BoxConfig", "Generation", "load_box_config"]
