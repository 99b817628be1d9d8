"""The stack file as typed settings: what a team writes, checked before anything is made.

`read_settings()` is what the program calls; `load_settings()` does the work and knows no Pulumi.
"""

from components.settings.application import Application
from components.settings.build import Build
from components.settings.deploy import Deploy
from components.settings.errors import SettingsError
from components.settings.hosting import Existing, Hosting
from components.settings.load import load_settings, read_settings
from components.settings.pipeline import Pipeline
from components.settings.promotion import Promotion
from components.settings.release import Release
from components.settings.retention import Retention
from components.settings.root import Settings
from components.settings.source import Source
from components.settings.stack_file import load_stack_file
from components.settings.tests import Tests

__all__ = [
    "Application",
    "Build",
    "Deploy",
    "Existing",
    "Hosting",
    "Pipeline",
    "Promotion",
    "Release",
    "Retention",
    "Settings",
    "SettingsError",
    "Source",
    "Tests",
    "load_settings",
    "load_stack_file",
    "read_settings",
]
