"""What ecs-delivery makes in AWS."""
