"""Provers: short-lived processes that read an object, prove it and compile it, and have nothing else.

    BuildRequest ──> a fresh process, sandboxed, under limits ──> Built

Who asks believes nothing of what comes back but what can be seen from its form: whether it runs is for the keeper of
the key to say (appliance.box.approval), and for whoever maps the code to check.
"""
