"""Sign-in and sign-out, and what belongs to them."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from tenants.pages import sign_in

urlpatterns = [
    *sign_in.urlpatterns,
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("sign-out", LogoutView.as_view(), name="account_logout"),
]
