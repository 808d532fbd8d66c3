"""What the console's templates say of times and rows."""

from django import template

from console import formats, marks

register = template.Library()
register.filter(formats.moment)
register.filter(formats.page_url)
register.filter(marks.highlighted)
