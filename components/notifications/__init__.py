"""Who is told what became of a run: a topic, what sends messages to it, who gets them, and what GitHub shows."""

from components.notifications.messenger import Messenger, MessengerArgs
from components.notifications.status_reporter import StatusReporter, StatusReporterArgs
from components.notifications.topic import NotificationTopic, NotificationTopicArgs

__all__ = [
    "Messenger",
    "MessengerArgs",
    "NotificationTopic",
    "NotificationTopicArgs",
    "StatusReporter",
    "StatusReporterArgs",
]
