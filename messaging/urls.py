from django.urls import path

from messaging import api, views

urlpatterns = [
    path("webhooks/uspacy", views.uspacy_webhook),
    path("webhooks/lines/<uuid:key>", views.line_webhook),
    path("media/pictures/<str:token>", views.picture),
    path("media/<str:token>/<path:name>", views.attachment),
    path("api/chats/", api.ChatList.as_view()),
    path("api/chats/<uuid:uspacy_id>/messages/", api.MessageList.as_view()),
]
