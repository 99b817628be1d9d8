"""`python -m components.settings` writes the schema of stack files and the README's tables of keys."""

from components.settings.generate import main

main()
