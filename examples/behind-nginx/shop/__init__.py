"""A shop behind nginx, which serves its static files."""
