"""What the console's templates say of times, rows and lines."""

from django import template

from console import channels, formats, line_rows, marks, reasons

register = template.Library()
register.filter(formats.kind)
register.filter(formats.moment)
register.filter(formats.page_url)
register.filter(marks.highlighted)
register.filter("channel_symbol", channels.symbol)
register.filter(channels.of_line)
register.filter("dead_end", reasons.dead_end_of)
register.filter("line_label", line_rows.tone)
