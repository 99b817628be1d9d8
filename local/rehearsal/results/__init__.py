"""The results of earlier rehearsals, so that nothing is done twice."""

from local.rehearsal.results.dependencies import Dependencies, is_deployment
from local.rehearsal.results.kept import Result, ResultStore
from local.rehearsal.results.pushes import Pushes
from local.rehearsal.results.reuse import Reuse, Wish

__all__ = ["Dependencies", "Pushes", "Result", "ResultStore", "Reuse", "Wish", "is_deployment"]
