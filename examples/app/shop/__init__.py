"""A small shop: pages, static files, and a health check."""
