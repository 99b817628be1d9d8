"""The verification of what a run delivers, before it is deployed or promoted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import pulumi

from components.foundation.iam import Statement
from components.images.builder import APP_JOB, BUILDER_ID, Builder, job_of
from components.images.repository import pull_images, read_scan_findings, registry_login
from components.jobs.build_project import PLATFORMS, Wait
from components.jobs.job_component import JobComponent
from components.pipeline.model import Action, Artifact
from components.settings.sections.verification import ScanSection
from components.stages.stage import SharedFacts, StageContext

MINUTES_TO_VERIFY = 5
"""What the job gets beyond the time that scans are waited for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationArgs:
    """What the images of a run have to prove.

    Attributes:
        source_url: Where their code has to be from; ``None`` where their provenance is not read.
        pipeline: The pipeline that has to have built them, its name or ARN; ``None`` for this stack's own.
        revision: What the run knows of the code; empty where it builds none.
        scan: What their scans may find; ``None`` where nobody waits for one.
    """

    source_url: str | None
    pipeline: str | None
    revision: Mapping[str, str]
    scan: ScanSection | None = None

    @classmethod
    def wanted(cls, shared: SharedFacts, before: Literal["deployment", "promotion"]) -> VerificationArgs | None:
        """Return what they have to prove before one of these; ``None`` for nothing.

        Raises:
            ValueError: When nobody says where the code of images is from that are not built here.
        """
        if shared.verified_before != before:
            return None
        provenance, scan = shared.verification.provenance, shared.verification.scan
        source_url = shared.source_url or provenance.source
        if provenance.enabled and (source_url is None or not (shared.source_url or provenance.pipeline)):
            raise ValueError("images from ECR are verified against verification.provenance, which names nobody")
        return cls(
            source_url=source_url if provenance.enabled else None,
            pipeline=provenance.pipeline,
            revision=shared.revision,
            scan=scan if scan.enabled else None,
        )


class ImageVerification(JobComponent):
    """A job that compares the provenance of each delivered image, and what its scan has found, with what is expected.

    Signatures are verified by a job of their own, since its tool needs another machine: see ``signature.py``.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:ImageVerification"

    _context: StageContext

    action: Action
    """Verifies the images; nothing of a stage goes on beside it but what has no effect outside of the pipeline."""
    start: Statement
    """What the pipeline's role needs for it."""

    def __init__(
        self,
        name: str,
        args: VerificationArgs,
        delivered: Mapping[str, str],
        context: StageContext,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Describe it.

        Args:
            name: Its name in Pulumi.
            args: What the images have to prove.
            delivered: Variables with the digests of this run.
            context: What every stage may rely on.
            opts: Of the component.
        """
        super().__init__(name, context, opts)
        registry = context.registry
        variables: dict[str, pulumi.Input[str]] = {
            "PLATFORM": PLATFORMS[context.application.architecture],
            **registry.further_images,
        }
        statements = [pull_images(registry.every_delivered), registry_login()]
        if args.source_url is not None:
            builder = Builder.of(context.foundation, args.pipeline)
            variables |= {"SOURCE_URL": args.source_url, BUILDER_ID: builder.id(APP_JOB)}
            if registry.further:
                further = {image: builder.id(job_of(image)) for image in registry.further}
                variables["FURTHER_BUILDER_IDS"] = pulumi.Output.json_dumps(further, sort_keys=True)
        wait = Wait.on(context.quick, stated=args.scan.timeout_minutes if args.scan else 0, to_end=MINUTES_TO_VERIFY)
        if args.scan is not None:
            variables |= {"SCAN_RULES": args.scan.rules, "SCAN_MINUTES": str(args.scan.timeout_minutes)}
            statements += read_scan_findings(registry.every_delivered)
        project = self.project(
            "verify-image",
            description="Compares who built the images, of what, and what their scans have found with what is expected",
            machine=wait.machine,
            reads=(Artifact.IMAGE,),
            variables=variables,
            statements=statements,
            timeout_minutes=wait.timeout_minutes,
        )
        code = {key: value for key, value in args.revision.items() if key in ("COMMIT_ID", "OBJECT_VERSION")}
        self.action = project.action("VerifyImage", environment={**delivered, **(code if args.source_url else {})})
        self.start = project.start()
        self.register_outputs({"action": self.action.name})
