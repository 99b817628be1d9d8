"""actionlint, which checks the workflows of GitHub Actions: its Go modules, and how it is started."""
