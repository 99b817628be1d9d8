"""A stack as pictures and as one page: pipeline, resources, what its roles may do, time and money."""
