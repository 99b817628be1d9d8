"""Where container images are kept: ECR repositories, and the ones a stack works with."""
