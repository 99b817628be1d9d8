"""Static files: into a bucket, from the code, out of the app image, or from another bucket.

Runs before the service is deployed: a new version may refer to new files, an old one only to old files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.build_project import QUICK, image_builder
from components.iam import Statement
from components.image_repository import registry_login
from components.pipeline_model import Action, Artifact
from components.settings import Settings
from components.settings.deploy import StaticFiles, Sync, Upload
from components.stages.build import PLATFORMS
from components.stages.stage import Stage, StageContext


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticFilesStageArgs:
    """What the stage needs of the stack file.

    Attributes:
        bucket: The bucket the files go to; somebody else made it.
        prefix: Start of their keys there; nothing else of the bucket is touched.
        origin: Where they come from.
        distribution_id: CloudFront distribution to invalidate; ``None`` for none.
    """

    bucket: str
    prefix: str
    origin: Upload | Sync
    distribution_id: str | None


class StaticFilesStage(Stage):
    """Publishes the static files that belong to the image."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:StaticFiles"
    NAME: ClassVar[str] = "StaticFiles"

    def __init__(
        self, name: str, args: StaticFilesStageArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        self._args = args
        if isinstance(args.origin, Sync):
            self.actions, self.grants = self._sync(args.origin)
        elif args.origin.origin == "image":
            self.actions, self.grants = self._upload_from_image(args.origin)
        else:
            self.actions, self.grants = self._upload(args.origin.path, Artifact.SOURCE)
        self.register_outputs({"bucket": args.bucket})

    @classmethod
    def wanted(cls, settings: Settings) -> StaticFilesStageArgs | None:
        """On with ``deploy.staticFiles.enabled``."""
        files: StaticFiles = settings.deploy.static_files
        origin = files.upload or files.sync
        if not files.enabled or files.bucket is None or origin is None:
            return None
        return StaticFilesStageArgs(
            bucket=files.bucket,
            prefix=files.prefix,
            origin=origin,
            distribution_id=files.cloud_front_distribution_id,
        )

    def _upload_from_image(self, upload: Upload) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
        context = self._context
        extract = self.project(
            "extract-static-files",
            description=f"Takes {upload.path} out of the app image",
            machine=image_builder(architecture=context.application.architecture, size="small"),
            variables={
                "STATIC_FILES_PATH": upload.path,
                "PLATFORM": PLATFORMS[context.application.architecture],
            },
            statements=[context.registry.app.pull(), registry_login()],
        )
        action = extract.action("ExtractStaticFiles", reads=(Artifact.IMAGE,), writes=(Artifact.STATIC_FILES,))
        actions, grants = self._upload(".", Artifact.STATIC_FILES, run_order=2)
        return (action, *actions), (extract.start(), *grants)

    def _upload(
        self, path: str, artifact: Artifact, *, run_order: int = 1
    ) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
        project = self.project(
            "upload-static-files",
            description=f"Uploads static files to {self._args.bucket}",
            machine=QUICK,
            variables=self._target() | {"FILES_PATH": path},
            statements=self._write(),
        )
        return (project.action("UploadStaticFiles", reads=(artifact,), run_order=run_order),), (project.start(),)

    def _sync(self, sync: Sync) -> tuple[tuple[Action, ...], tuple[Statement, ...]]:
        project = self.project(
            "sync-static-files",
            description=f"Copies static files from {sync.bucket} to {self._args.bucket}",
            machine=QUICK,
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
        return (project.action("SyncStaticFiles", reads=(Artifact.DEPLOYMENT,)),), (project.start(),)

    def _target(self) -> dict[str, pulumi.Input[str]]:
        return {
            "BUCKET": self._args.bucket,
            "PREFIX": self._args.prefix,
            "CLOUDFRONT_DISTRIBUTION_ID": self._args.distribution_id or "",
        }

    def _write(self) -> list[Statement]:
        account = self._context.artifacts.account
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
        return self._context.artifacts.account.arn("s3", bucket, region="", account_id="")

    def _objects(self, bucket: str, prefix: str) -> pulumi.Output[str]:
        return self._bucket(f"{bucket}/{_folder(prefix)}*")


def _folder(prefix: str) -> str:
    """The prefix with a slash behind it, as the job uses it: ``v2`` must not reach ``v20/``."""
    return f"{prefix.strip('/')}/" if prefix else ""
