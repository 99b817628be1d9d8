"""Where a rehearsal deploys to: real containers behind a real proxy, moved by the emulators of ECS and CodeDeploy.

`hosting_from_graph` makes it of what a stack has deployed; `Visitor` is a client that asks all the time.
"""

from local.rehearsal.hosting.from_graph import Hosting, hosting_from_graph
from local.rehearsal.hosting.pace import Pace
from local.rehearsal.hosting.secrets import Secrets
from local.rehearsal.hosting.visitor import Visit, Visitor

__all__ = ["Hosting", "Pace", "Secrets", "Visit", "Visitor", "hosting_from_graph"]
