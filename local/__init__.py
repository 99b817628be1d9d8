"""The same program and the same pipeline on this machine, with no AWS account."""
