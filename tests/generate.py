"""Writes all that is generated: `make golden`. What takes longer is a command of its own: `edits`, `report`."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).with_name("external_checks"))]

import account_page  # noqa: E402 - the path is set just above
import change_report_page  # noqa: E402
import costs_page  # noqa: E402
import edits_page  # noqa: E402
import jobs_page  # noqa: E402
import permissions_page  # noqa: E402
import picture_page  # noqa: E402
import secret_patterns  # noqa: E402
import summary  # noqa: E402

from components.settings.reader import generate  # noqa: E402

if __name__ == "__main__":
    if sys.argv[1:2] == ["edits"]:
        edits_page.main(sys.argv[2:])
        sys.exit()
    if sys.argv[1:2] == ["report"]:
        change_report_page.main()
        sys.exit()
    for page in (
        generate,
        summary,
        jobs_page,
        permissions_page,
        account_page,
        secret_patterns,
        costs_page,
        picture_page,
    ):
        page.main()
