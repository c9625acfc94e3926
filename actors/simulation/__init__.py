"""Deterministic simulation: the whole engine in one process, under virtual time and one seed.

The parts are the real ones -- supervisor, accounts, ledger, journal, terminal --, joined through
:mod:`actors.links` by a network that is late, loses and doubles. What happens is decided by the
seed alone: the same seed gives the same history, byte for byte.
"""
