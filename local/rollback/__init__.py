"""Brings back a version that was deployed before: `python -m local rollback`, in the user's own account."""
