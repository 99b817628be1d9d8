"""Section `pipeline`: how runs follow each other."""

from typing import Literal

from pydantic import Field

from components.settings.base import Section


class Pipeline(Section):
    """How runs of the pipeline follow each other."""

    execution_mode: Literal["superseded", "queued", "parallel"] = Field(
        default="superseded",
        description="`superseded`: a newer run overtakes a waiting one, `queued`: one after the other, "
        "`parallel`: side by side.",
        examples=["queued"],
    )
