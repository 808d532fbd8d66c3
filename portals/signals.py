"""The one link upward: what other apps hear of a portal."""

from django.dispatch import Signal

# Sent inside the transaction that uninstalls; `portal` is the uninstalled Portal.
portal_uninstalled = Signal()
