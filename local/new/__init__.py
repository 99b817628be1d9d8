"""`make new`: the stack files of a repository, from five answers."""
