"""The real Pulumi engine against stand-in providers: finds or builds the CLI, keeps a state, runs the program."""
