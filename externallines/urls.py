from django.urls import include, path
from rest_framework.routers import SimpleRouter

from externallines.views import ChannelList, LineViewSet

router = SimpleRouter(use_regex_path=False)
router.register("lines", LineViewSet)

urlpatterns = [
    path("api/channels/", ChannelList.as_view()),
    path("api/", include(router.urls)),
]
