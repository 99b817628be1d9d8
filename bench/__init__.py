"""Figures to read, never tests to pass: `python -m bench` prints them."""
