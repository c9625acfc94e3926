"""Stress: a mass liquidation from the first price to the verdict, on real actors."""
