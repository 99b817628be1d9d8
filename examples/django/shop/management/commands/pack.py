"""The worker: packs what was ordered."""

import signal
import threading

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from shop.models import Order


class Command(BaseCommand):
    """Packs orders until it is asked to end."""

    help = "Pack orders until SIGTERM."

    def handle(self, *_words: object, **_options: object) -> None:
        """Pack one order after the other; several workers do not get in each other's way."""
        ends = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ends.set())
        self.stdout.write("waiting for orders")
        while not ends.is_set():
            if not self._pack_one():
                ends.wait(1)
        self.stdout.write("ended")

    def _pack_one(self) -> bool:
        with transaction.atomic():
            order = Order.objects.select_for_update(skip_locked=True).filter(packed=None).first()
            if order is None:
                return False
            order.packed = timezone.now()
            order.save()
        self.stdout.write(f"packed {order.product}")
        return True
