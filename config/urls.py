"""Every path, bare and under URL_PREFIX; `RoutingMiddleware` makes the trailing slash optional."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import health, metrics
from console import menu

admin.site.final_catch_all_view = False  # it would hide from the middleware which paths exist

routes: list[URLPattern | URLResolver] = [
    path("", include("messaging.urls")),  # the webhooks first: they are asked for most
    path("", include("portals.urls")),
    path("", include("externallines.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema")),
    path("admin/language/", include("django.conf.urls.i18n")),
    path("admin/search/", admin.site.admin_view(menu.search)),
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics.metrics),
]
urlpatterns = [*([path(f"{settings.URL_PREFIX}/", include(routes))] if settings.URL_PREFIX else []), *routes]
handler404 = "portals.errors.not_found"
