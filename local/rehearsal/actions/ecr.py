"""Amazon ECR, CodePipeline's source action for images.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECR.html
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types

from local.rehearsal.account import Account
from local.rehearsal.emulated import Need
from local.rehearsal.pipeline.action import ActionContext, ActionFailed, Completed


@dataclass(frozen=True, kw_only=True, slots=True)
class EcrSource:
    """ECR in one account."""

    account: Account

    def run(self, context: ActionContext) -> Completed:
        """Hand on which image it is: the one the run was started with, or what the tag names now."""
        name = context.configuration["RepositoryName"]
        tag = context.configuration.get("ImageTag", "latest")
        arn = f"arn:aws:ecr:{context.store.region}:{context.store.account}:repository/{name}"
        context.demand(Need("ecr:DescribeImages", arn))
        image = self._image(name, {"imageDigest": context.revision} if context.revision else {"imageTag": tag})
        digest = image["imageDigest"]
        registry = f"{self.account.identity}.dkr.ecr.{self.account.region}.amazonaws.com"
        detail = {
            "ImageSizeInBytes": str(image.get("imageSizeInBytes", 0)),
            "ImageDigest": digest,
            "Version": "1.0",
            "ImagePushedAt": f"{image['imagePushedAt']:%a %b %d %H:%M:%S UTC %Y}",
            "RegistryId": self.account.identity,
            "RepositoryName": name,
            "ImageURI": f"{registry}/{name}@{digest}",
            "ImageTags": image.get("imageTags", []),
        }
        context.folder.mkdir(parents=True)
        packed = context.folder / "imageDetail.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("imageDetail.json", json.dumps(detail))
        variables = {key: str(detail[key]) for key in ("RegistryId", "RepositoryName", "ImageDigest", "ImageURI")}
        if not context.revision:
            variables["ImageTag"] = tag
        context.say(f"{name} at {digest}")
        return Completed(
            summary=f"{name}:{tag} is {digest[:19]}",
            variables=variables,
            artifacts=context.keep(context.action.outputs[0], packed),
        )

    def _image(self, name: str, wanted: dict[str, str]) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.account.client("ecr").describe_images(repositoryName=name, imageIds=[wanted])
        except (BotoCoreError, ClientError) as error:
            raise ActionFailed(str(error)) from None
        return dict(found["imageDetails"][0])
