"""What the emulators of this project's own share.

Each holds what it is asked and what it answers against botocore's model of the service, and has IAM's evaluator decide
whether the caller's policies allow it. They stand beside ministack, for what that does not have or has too leniently.
"""

from local.rehearsal.emulated.access import Need, RolePolicies, allows, caller, granted
from local.rehearsal.emulated.service import Call, Caller, Emulated, Json, Operations, Policies, Refused, serving

__all__ = [
    "Call",
    "Caller",
    "Emulated",
    "Json",
    "Need",
    "Operations",
    "Policies",
    "Refused",
    "RolePolicies",
    "allows",
    "caller",
    "granted",
    "serving",
]
