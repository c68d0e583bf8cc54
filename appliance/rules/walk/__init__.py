"""A walk through a rule set in plain Python, one frame after the other: which rule decides, and why no earlier one did.

dissector       a program that says of each frame what the rules' program would know of it
Walk            judges dissected frames by the rule model, with the state that rates and tests keep
explain         the steps of a judgement in words

The walk shares the parser and the tables of fields with the compiler, and nothing else: no matching, no code.
"""

from appliance.rules.walk.dissector import Dissected, Dissector, dissector
from appliance.rules.walk.walk import Judgement, Outcome, Step, Walk

__all__ = ["Dissected", "Dissector", "Judgement", "Outcome", "Step", "Walk", "dissector"]
