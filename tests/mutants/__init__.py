"""Faults that are put into the engine one at a time, to see that the simulation finds each.

``python -m tests.mutants`` copies the source tree, puts one fault into the copy, and lets the
simulation run seed after seed until a check fails. The checkout itself is never touched.
"""
