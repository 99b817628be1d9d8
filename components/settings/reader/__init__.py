"""How the stack file is read, and what is said when it is wrong."""
