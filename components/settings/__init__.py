"""The stack file as typed settings: what a team writes, checked before anything is made.

`read_settings()` is what the program calls; `load_settings()` does the work and knows no Pulumi.
"""

from components.settings.reader.errors import SettingsError
from components.settings.reader.load import load_settings, read_settings
from components.settings.reader.stack_file import load_stack_file
from components.settings.root import Settings
from components.settings.sections.application import ApplicationSection
from components.settings.sections.build import BuildSection
from components.settings.sections.deploy import DeploySection
from components.settings.sections.existing_hosting import ExistingSection
from components.settings.sections.hosting import HostingSection
from components.settings.sections.pipeline import PipelineSection
from components.settings.sections.promotion import PromotionSection
from components.settings.sections.release import ReleaseSection
from components.settings.sections.retention import RetentionSection
from components.settings.sections.source import SourceSection
from components.settings.sections.tests import TestsSection

__all__ = [
    "ApplicationSection",
    "BuildSection",
    "DeploySection",
    "ExistingSection",
    "HostingSection",
    "PipelineSection",
    "PromotionSection",
    "ReleaseSection",
    "RetentionSection",
    "Settings",
    "SettingsError",
    "SourceSection",
    "TestsSection",
    "load_settings",
    "load_stack_file",
    "read_settings",
]
