"""`python -m components.settings` writes the schema of stack files and the tables of keys."""

from components.settings.reader.generate import main

main()
