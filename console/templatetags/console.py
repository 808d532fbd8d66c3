"""What the console's templates say of times and rows."""

from django import template

from console import formats

register = template.Library()
register.filter(formats.moment)
register.filter(formats.page_url)
