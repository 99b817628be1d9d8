"""How fast time passes where real containers are deployed: an hour of AWS's waits should not be one here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """Factors of AWS's times.

    Attributes:
        waits: Of waits that somebody has chosen: bake times, the time after a shift of traffic, before old tasks end.
        checks: Of the time between two health checks.
        grace: Of the health check grace period. An application starts no faster here than on AWS.
        least_grace: Seconds that a task has for its start in any case, before it is replaced or an alarm on unhealthy
            targets goes off.
        least_patience: Seconds that a deployment waits for new tasks to be healthy, in any case.
        tick: Seconds between two looks at everything.
    """

    waits: float = 0.01
    checks: float = 0.1
    grace: float = 1.0
    least_grace: float = 10.0
    least_patience: float = 120.0
    tick: float = 0.1

    def seconds(self, minutes: float) -> float:
        """How long so many minutes of a wait are here."""
        return minutes * 60 * self.waits

    def patience(self, minutes: float) -> float:
        """Minutes of CodeDeploy's patience with starting tasks, so many that they have their time here, too."""
        return max(minutes, self.least_patience / self.seconds(1))
