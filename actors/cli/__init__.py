"""The ``risk-engine`` command."""
