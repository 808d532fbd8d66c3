"""The links upward: what other apps hear of a portal."""

from django.dispatch import Signal

# Sent inside the transaction that installs, for the first time or again; `portal` is the active Portal.
portal_installed = Signal()

# Sent inside the transaction that uninstalls; `portal` is the uninstalled Portal.
portal_uninstalled = Signal()
