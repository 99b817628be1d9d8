"""Static files: into a bucket, from the code, out of the app image, or from another bucket.

New files are published before the service is deployed, since the new version refers to them; old ones are pruned
after it, since until then the old version does. A deployment that fails leaves both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.iam import Statement
from components.images.repository import registry_login
from components.jobs.build_project import LONG_RUNNING, PLATFORMS, BuildProject
from components.jobs.job_component import JobComponent
from components.pipeline.model import Action, Artifact
from components.pipeline.variables import DELIVERED_IMAGE
from components.settings.sections.deploy import StaticFilesSection, SyncSection, UploadSection
from components.stages.stage import StageContext


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticFilesArgs:
    """What is published, and where to.

    Attributes:
        bucket: The bucket the files go to; somebody else made it.
        prefix: Start of their keys there; nothing else of the bucket is touched.
        origin: Where they come from.
        distribution_id: CloudFront distribution to invalidate; ``None`` for none.
    """

    bucket: str
    prefix: str
    origin: UploadSection | SyncSection
    distribution_id: str | None

    @classmethod
    def wanted(cls, settings: StaticFilesSection) -> StaticFilesArgs | None:
        """On with ``deploy.staticFiles.enabled``."""
        origin = settings.upload or settings.sync
        if not settings.enabled or settings.bucket is None or origin is None:
            return None
        return cls(
            bucket=settings.bucket,
            prefix=settings.prefix,
            origin=origin,
            distribution_id=settings.cloud_front_distribution_id,
        )


class StaticFiles(JobComponent):
    """The part of the deployment that looks after static files: actions for before and after the service's own."""

    TYPE: ClassVar[str] = "ecs-delivery:index:StaticFiles"

    _context: StageContext

    publish: tuple[Action, ...]
    """One after the other, before the service moves."""
    prune: Action
    """Removes what the deployed version no longer has."""
    grants: tuple[Statement, ...]
    """What the pipeline's role needs for the actions."""

    def __init__(
        self, name: str, args: StaticFilesArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, context, opts)
        self._args = args
        self.publish, self.grants = (), ()
        if isinstance(args.origin, SyncSection):
            self._project = self._sync(args.origin)
        elif args.origin.origin == "image":
            self._extract(args.origin.path)
            self._project = self._upload(".", reads=Artifact.STATIC_FILES)
        else:
            self._project = self._upload(args.origin.path, reads=Artifact.SOURCE)
        self.publish += (self._action("PublishStaticFiles", "publish"),)
        self.prune = self._action("PruneStaticFiles", "prune")
        self.grants += (self._project.start(),)
        self.register_outputs({"bucket": args.bucket})

    def _action(self, name: str, phase: str) -> Action:
        return self._project.action(name, environment={"PHASE": phase})

    def _extract(self, path: str) -> None:
        context = self._context
        project = self.project(
            "extract-static-files",
            description=f"Takes {path} out of the app image",
            # Layers pass through it, whatever their size; it stores nothing but the folder. On Lambda /tmp has at most
            # 10,240 MB: https://docs.aws.amazon.com/lambda/latest/dg/API_EphemeralStorage.html
            machine=context.transfer,
            reads=(Artifact.IMAGE,),
            writes=(Artifact.STATIC_FILES,),
            timeout_minutes=context.transfer.at_most(120),
            variables={"STATIC_FILES_PATH": path, "PLATFORM": PLATFORMS[context.application.architecture]},
            statements=[context.registry.app.pull(), registry_login()],
        )
        self.publish += (project.action("ExtractStaticFiles", environment=DELIVERED_IMAGE),)
        self.grants += (project.start(),)

    def _upload(self, path: str, *, reads: Artifact) -> BuildProject:
        context = self._context
        # Nothing says that builds on Lambda clone what CodePipeline only refers to, and the lambda image that they run
        # on has no Git LFS.
        machine = LONG_RUNNING if reads is Artifact.SOURCE and context.full_clone else context.transfer
        return self.project(
            "upload-static-files",
            description=f"Uploads static files to {self._args.bucket}",
            machine=machine,
            reads=(reads,),
            timeout_minutes=machine.at_most(120),
            variables=self._target() | {"FILES_PATH": path},
            statements=self._write(),
        )

    def _sync(self, sync: SyncSection) -> BuildProject:
        return self.project(
            "sync-static-files",
            description=f"Copies static files from {sync.bucket} to {self._args.bucket}",
            # Of another bucket nobody knows how much there is, and all of it passes through the job.
            machine=LONG_RUNNING,
            reads=(Artifact.DEPLOYMENT,),
            timeout_minutes=120,
            variables=self._target() | {"SOURCE_BUCKET": sync.bucket, "SOURCE_PREFIX": sync.prefix},
            statements=[
                *self._write(),
                self._list("ListSourceBucket", sync.bucket, sync.prefix),
                Statement(
                    sid="ReadSourceFiles",
                    actions=("s3:GetObject",),
                    resources=(self._objects(sync.bucket, sync.prefix),),
                ),
            ],
        )

    def _target(self) -> dict[str, pulumi.Input[str]]:
        return {
            "BUCKET": self._args.bucket,
            "PREFIX": self._args.prefix,
            "CLOUDFRONT_DISTRIBUTION_ID": self._args.distribution_id or "",
        }

    def _write(self) -> list[Statement]:
        account = self._context.foundation.account
        statements = [
            self._list("ListStaticFiles", self._args.bucket, self._args.prefix),
            Statement(
                sid="WriteStaticFiles",
                actions=("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"),
                resources=(self._objects(self._args.bucket, self._args.prefix),),
            ),
        ]
        if self._args.distribution_id:
            distribution = account.arn("cloudfront", f"distribution/{self._args.distribution_id}", region="")
            statements.append(
                Statement(sid="InvalidateCache", actions=("cloudfront:CreateInvalidation",), resources=(distribution,))
            )
        return statements

    def _list(self, sid: str, bucket: str, prefix: str) -> Statement:
        return Statement(
            sid=sid,
            actions=("s3:ListBucket",),
            resources=(self._bucket(bucket),),
            conditions={"StringLike": {"s3:prefix": f"{_folder(prefix)}*"}} if prefix else {},
        )

    def _bucket(self, bucket: str) -> pulumi.Output[str]:
        return self._context.foundation.account.arn("s3", bucket, region="", account_id="")

    def _objects(self, bucket: str, prefix: str) -> pulumi.Output[str]:
        return self._bucket(f"{bucket}/{_folder(prefix)}*")


def _folder(prefix: str) -> str:
    """The prefix with a slash behind it, as the job uses it: ``v2`` must not reach ``v20/``."""
    return f"{prefix.strip('/')}/" if prefix else ""
