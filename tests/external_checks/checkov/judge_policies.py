"""What cloudsplaining has against role policies: JSON by name on standard input, findings on standard output.

Run by the Python of checkov's environment, see tests/external_checks/scanners.py.
"""

from __future__ import annotations

import json
import sys

from cloudsplaining.scan.policy_document import PolicyDocument  # type: ignore[import-not-found]  # not in this one

KINDS = (
    "allows_data_exfiltration_actions",
    "allows_privilege_escalation",
    "credentials_exposure",
    "permissions_management_without_constraints",
    "service_wildcard",
    "write_actions_without_constraints",
)

if __name__ == "__main__":
    found = [
        (kind, f"{name} {item['type'] if isinstance(item, dict) else item}")
        for name, document in json.load(sys.stdin).items()
        for kind in KINDS
        for item in getattr(PolicyDocument(document), kind)
    ]
    json.dump(found, sys.stdout)
