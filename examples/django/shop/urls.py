"""What is answered where."""

from django.urls import path

from shop import views

urlpatterns = [path("", views.orders), path("order/<str:product>", views.order), path("healthz", views.healthz)]
