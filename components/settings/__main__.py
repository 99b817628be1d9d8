"""`python -m components.settings` writes the schema of stack files, the tables of keys and Pulumi.yaml's sections."""

from components.settings.reader.generate import main

main()
