"""What the pipeline's builds run: one module for each job, and what the jobs share.

Runs in CodeBuild's images: Python 3.9 or later, standard library only.
"""
