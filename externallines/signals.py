"""The link upward: what messaging hears of a line."""

from django.dispatch import Signal

# Sent when a line has been connected, for the first time or again; `line` is the ExternalLine.
line_connected = Signal()
