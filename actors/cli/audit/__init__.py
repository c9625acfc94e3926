"""``risk-engine audit``: read what was recorded, and judge it."""
