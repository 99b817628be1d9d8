"""What shifts a service to a new version: one file for each way to deploy."""
