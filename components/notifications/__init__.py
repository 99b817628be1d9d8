"""Who is told what became of a run: a topic, what sends messages to it, and who gets them."""

from components.notifications.messenger import Messenger, MessengerArgs
from components.notifications.topic import NotificationTopic, NotificationTopicArgs

__all__ = ["Messenger", "MessengerArgs", "NotificationTopic", "NotificationTopicArgs"]
