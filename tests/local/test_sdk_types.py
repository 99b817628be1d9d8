"""The reading of the SDK's source agrees with what the SDK says when it is imported and asked."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest
from pulumi._types import input_type_py_to_pulumi_names, resource_types

from local.engine.providers.sdk_types import Sdk, SdkLayoutError, Shape, UnknownTokenError

AWS = Sdk("pulumi_aws")

SAMPLES = [
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:codebuild/project:Project",
    "aws:codedeploy/deploymentGroup:DeploymentGroup",
    "aws:codepipeline/pipeline:Pipeline",
    "aws:ecr/repository:Repository",
    "aws:iam/role:Role",
    "aws:kms/key:Key",
    "aws:s3/bucketVersioning:BucketVersioning",
]


@pytest.mark.parametrize("token", SAMPLES)
def test_inputs_and_outputs_are_those_of_the_imported_class_and_its_arguments(token: str) -> None:
    service, name = AWS.resource_tokens[token]
    cls = getattr(importlib.import_module(f"pulumi_aws.{service}"), name)
    package = importlib.import_module(cls.__module__)
    arguments = getattr(package, f"{name}InitArgs", None) or getattr(package, f"{name}Args")
    names = input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments.__init__).parameters
    required = {wire for python, wire in names.items() if parameters[python].default is inspect.Parameter.empty}
    read = AWS.resource(token)
    assert set(read.outputs) == set(resource_types(cls))
    assert set(read.inputs.properties) == set(names.values())
    assert read.inputs.required == required


def test_every_resource_type_of_the_sdk_has_a_file_and_a_class() -> None:
    assert len(AWS.resource_tokens) > 1700
    assert AWS.resource_tokens["aws:codepipeline/pipeline:Pipeline"] == ("codepipeline", "Pipeline")


@pytest.mark.parametrize(
    ("token", "path", "shape"),
    [
        ("aws:codebuild/project:Project", "buildTimeout", Shape("integer")),
        ("aws:codebuild/project:Project", "badgeEnabled", Shape("boolean")),
        ("aws:codebuild/project:Project", "tags", Shape("map", (Shape("string"),))),
        ("aws:codebuild/project:Project", "source", Shape("object", name="codebuild.ProjectSourceArgs")),
        ("aws:s3/bucketObjectv2:BucketObjectv2", "source", Shape("asset")),
        # An enumeration and a string are the same on the wire.
        ("aws:ec2/vpc:Vpc", "instanceTenancy", Shape("string")),
        # A policy may be JSON text or the document itself.
        (
            "aws:s3/bucketPolicy:BucketPolicy",
            "policy",
            Shape("either", (Shape("string"), Shape("object", name="s3.PolicyDocumentArgs"))),
        ),
    ],
)
def test_annotations_become_shapes(token: str, path: str, shape: Shape) -> None:
    assert AWS.resource(token).inputs.properties[path] == shape


@pytest.mark.parametrize("token", ["aws:s3/bukket:Bukket", "gcp:storage/bucket:Bucket", ""])
def test_a_resource_type_that_is_not_there_is_refused(token: str) -> None:
    with pytest.raises(UnknownTokenError):
        AWS.resource(token)


def test_a_package_that_is_not_installed_is_refused() -> None:
    with pytest.raises(SdkLayoutError, match="pulumi_nowhere is not installed"):
        Sdk("pulumi_nowhere")


def test_types_are_read_whatever_is_collected_meanwhile() -> None:
    """Garbage whose finalizer prints a traceback parses, and CPython before 3.11.8 cannot parse within a parse."""
    code = """
import ast, gc
from local.engine.providers.sdk_types import Sdk
class Wreck:
    def __init__(self): self.cycle = self
    def __del__(self): ast.parse("f(1, [2])")
gc.set_threshold(50)
for _ in range(10):
    wrecks = [Wreck() for _ in range(100)]
    del wrecks
    Sdk("pulumi_aws").resource("aws:s3/bucketObjectv2:BucketObjectv2")
print(gc.isenabled())
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def test_reading_types_imports_nothing_of_the_sdk() -> None:
    """Importing costs every preview a second."""
    code = (
        "import sys; from local.engine.providers.sdk_types import Sdk; import local.engine.providers.aws;"
        "Sdk('pulumi_aws').resource('aws:kms/key:Key'); print('pulumi_aws' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
