"""What users write: one file for each section of the stack file."""
