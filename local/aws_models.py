"""AWS's own models of its services, as botocore ships them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.model import ServiceModel  # type: ignore[import-untyped]  # ships no types
    from botocore.session import Session  # type: ignore[import-untyped]  # ships no types


@cache
def service_model(service: str) -> ServiceModel:
    """Return the model of a service, by botocore's name of it."""
    return botocore_session().get_service_model(service)


def botocore_session() -> Session:
    """Return a session of its own, as threads need one each; all share what they have read of botocore's data."""
    import botocore.session  # type: ignore[import-untyped]  # noqa: PLC0415 - a start need not wait for it

    made = botocore.session.Session()
    made.register_component("data_loader", _data())
    return made


@cache
def _data() -> Any:  # noqa: ANN401 - ships no types
    import botocore.loaders  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    return botocore.loaders.create_loader()
