"""Who carries out the actions of a pipeline: one file a provider."""
