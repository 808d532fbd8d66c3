"""Every path, bare and under URL_PREFIX; `OptionalSlashMiddleware` makes the trailing slash optional."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from config import health, metrics

admin.site.site_header = "Uspacy external lines"
admin.site.site_title = "Uspacy external lines"
admin.site.index_title = "Support"
admin.site.site_url = None  # there is no other site to view
admin.site.final_catch_all_view = False  # it would hide from the middleware which paths exist

routes: list[URLPattern | URLResolver] = [
    path("", include("portals.urls")),
    path("", include("externallines.urls")),
    path("", include("messaging.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema")),
    path("admin/", admin.site.urls),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", metrics.metrics),
]
urlpatterns = [*([path(f"{settings.URL_PREFIX}/", include(routes))] if settings.URL_PREFIX else []), *routes]
handler404 = "portals.errors.not_found"
