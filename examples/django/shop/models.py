"""What is in the database."""

from django.db import models


class Order(models.Model):
    """Something to be packed."""

    product = models.CharField(max_length=100)
    packed = models.DateTimeField(null=True)

    def __str__(self) -> str:
        """Its product."""
        return self.product
