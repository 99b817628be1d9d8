"""The pipeline: a model that is checked without AWS, CodePipeline, and what starts a run."""
