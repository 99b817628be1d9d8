"""A stand-in for Amazon ECS on loopback, for what ministack cannot show: deployments that take their time, or fail.

It keeps services, task definitions, service deployments and tasks, holds every request and every answer against
botocore's model, and asks the caller's policies. Unless it is given a fleet that runs containers, such as that of
`local.rehearsal.hosting`, what becomes of a task is scripted by its image, and a deployment goes one step further each
time somebody looks at it.
"""

from local.rehearsal.ecs.service import Ecs
from local.rehearsal.ecs.state import Behaviour

__all__ = ["Behaviour", "Ecs"]
