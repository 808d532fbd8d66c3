"""What an error report tells: what happened and where, and no secret."""

from tests.config import production
from tests.externallines.remote import serve_remote

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
# In a process of its own, because Sentry patches the libraries for good.
REPORTING = """
import logging, os
import django
django.setup()
from sentry_sdk.transport import Transport
from config import reports
from portals import http

class Printed(Transport):
    def capture_envelope(self, envelope):
        print(*(item.payload.json for item in envelope.items))

reports.start("https://key@sentry.example.com/1", transport=Printed)
http.call("GET", os.environ["CALLED"])
logging.getLogger("messaging").error("it broke with Bearer eyJhbGciOi.eyJkb21h.c2ln", extra={"token": "tok-1"})
"""


def test_a_report_quotes_no_outgoing_call_and_no_secret() -> None:
    with serve_remote() as remote:
        environment = production.environment(
            DJANGO_SETTINGS_MODULE="config.settings",
            ALLOW_PRIVATE_NETWORKS="1",
            CALLED=f"{remote.url}/bot{TOKEN}/sendMessage?key=partner-secret",
        )
        done = production.run(environment, "-c", REPORTING)
        assert len(remote.calls) == 1
    assert done.returncode == 0, done.stderr
    assert "it broke" in done.stdout
    for secret in (TOKEN, "partner-secret", "eyJhbGciOi", "tok-1"):
        assert secret not in done.stdout
