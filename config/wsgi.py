"""The web process."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from portals import gate

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
gate.threads = max(1, settings.WEB_THREADS - 1)  # one is always left for what calls nobody
