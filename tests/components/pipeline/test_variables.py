"""The words that stages share with each other."""

from __future__ import annotations

from components.pipeline.variables import BUILD_IMAGE, DELIVERED_IMAGE, SOURCE, SOURCE_IMAGE


def test_the_delivered_image_is_known_from_the_pipeline_itself() -> None:
    """An artifact could be rewritten by another job with access to the bucket; a pipeline variable could not."""
    assert DELIVERED_IMAGE == {"IMAGE_DIGEST": "#{BuildImage.IMAGE_DIGEST}"}


def test_namespaces_are_distinct() -> None:
    assert [SOURCE, SOURCE_IMAGE, BUILD_IMAGE] == ["Source", "SourceImage", "BuildImage"]
