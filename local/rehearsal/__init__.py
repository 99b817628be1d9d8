"""The pipeline's jobs, executed on this machine."""
