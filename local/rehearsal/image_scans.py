"""A stand-in for the scans of Amazon ECR: `DescribeImageScanFindings`, which ministack does not know.

It answers for an image of a repository that scans on push, as basic scanning does, and finds what the image's label
`ecs-delivery.rehearsal.finding` says: `CVE-2026-1234 CRITICAL openssl 3.0.1-1`, several with commas. An index has no
scan, as with Amazon ECR (https://github.com/moby/buildkit/issues/3499), nor has an image of any other repository.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import error_response_json, json_response  # type: ignore[import-untyped]  # ships no types
from ministack.services import ecr  # type: ignore[import-untyped]  # ships no types

FINDING = "ecs-delivery.rehearsal.finding"
"""The label."""
_PAGE = 100
"""https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html"""
_ACTION = "DescribeImageScanFindings"
_handle = ecr.handle_request


async def _with_scans(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:  # noqa: ANN401 - as ministack's
    """Answer what is asked of scans; ministack has checked signature and policies by then."""
    if headers.get("x-amz-target", "").rpartition(".")[2] == _ACTION:
        return describe(json.loads(body))
    return await _handle(method, path, headers, body, query)


def answer() -> None:
    """Have ministack answer for scans."""
    ecr.handle_request = _with_scans


def describe(asked: Mapping[str, Any]) -> Any:  # noqa: ANN401 - ministack's answer
    """Answer `DescribeImageScanFindings`."""
    name, wanted = str(asked["repositoryName"]), asked["imageId"]
    repository = ecr._repositories.get(name)  # noqa: SLF001 - it has no other way
    if repository is None:
        return error_response_json("RepositoryNotFoundException", f"The repository with name '{name}' does not exist")
    image = ecr._find_image(name, wanted)  # noqa: SLF001 - as above
    if image is None:
        return error_response_json("ImageNotFoundException", f"The image {wanted} does not exist in '{name}'")
    manifest = json.loads(image["imageManifest"])
    scans = repository.get("imageScanningConfiguration", {}).get("scanOnPush")
    if not scans or "manifests" in manifest:
        return error_response_json("ScanNotFoundException", f"Image scan does not exist for the image {wanted}")
    found = _findings(json.loads(ecr._layer_blobs[name][manifest["config"]["digest"]]))  # noqa: SLF001 - as above
    begin, most = int(asked.get("nextToken") or 0), int(asked.get("maxResults") or _PAGE)
    page, rest = found[begin : begin + most], found[begin + most :]
    counts = {
        severity: sum(each["severity"] == severity for each in found) for severity in {e["severity"] for e in found}
    }
    return json_response(
        {
            "registryId": repository["registryId"],
            "repositoryName": name,
            "imageId": {"imageDigest": image["imageDigest"]},
            "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
            "imageScanFindings": {
                "findings": page,
                "findingSeverityCounts": counts,
                "imageScanCompletedAt": int(time.time()),
            },
            **({"nextToken": str(begin + most)} if rest else {}),
        }
    )


def _findings(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The findings that the labels of an image say."""
    text = ((config.get("config") or {}).get("Labels") or {}).get(FINDING, "")
    found = []
    for name, severity, package, version in (entry.split() for entry in text.split(",") if entry.strip()):
        attributes = {"package_name": package, "package_version": version}
        found.append(
            {
                "name": name,
                "severity": severity,
                "uri": f"https://nvd.nist.gov/vuln/detail/{name}",
                "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
            }
        )
    return found
