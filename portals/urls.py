from django.urls import path

from portals.views import InstallView, UninstallView

urlpatterns = [
    path("portals/install", InstallView.as_view()),
    path("portals/uninstall", UninstallView.as_view()),
    path("portals/uinstall", UninstallView.as_view()),  # as the manifest of uspacy-api.md 1 spells it
]
