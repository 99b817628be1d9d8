"""CodeBuild projects, the buildspecs they run, and the bundle of scripts these fetch."""
