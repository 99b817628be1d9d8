"""What is answered."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from shop.models import Order


def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer without the database: a task that waits for it need not be replaced."""
    return HttpResponse("ok\n", content_type="text/plain")


def orders(_request: HttpRequest) -> JsonResponse:
    """List what was ordered."""
    return JsonResponse({order.product: order.packed is not None for order in Order.objects.order_by("id")})


def order(_request: HttpRequest, product: str) -> JsonResponse:
    """Take an order."""
    return JsonResponse({"order": Order.objects.create(product=product).pk})
