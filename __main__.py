"""One delivery pipeline from one stack file: read the settings, build the delivery, export what it offers."""

import pulumi

from components.delivery import Delivery, DeliveryArgs
from components.settings import read_settings

settings = read_settings()
args = DeliveryArgs(settings=settings, stack=pulumi.get_stack(), region=pulumi.Config("aws").get("region"))
delivery = Delivery(settings.application.name, args)
for name, value in delivery.outputs.items():
    pulumi.export(name, value)
