"""Several real parts together: databases in files, actors in threads. No Ray; half a minute."""
