"""The words of names, as indexes have them: a search for some of them need not read every name."""

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db import models
from django.db.models import Func, Value

# What is between the words of a name. PostgreSQL would take john.smith for a host, +380... for a number.
BETWEEN = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~’ʼ‘“”«»–—…"
BLANKS = str.maketrans(dict.fromkeys(BETWEEN + "%\0", " "))


def words_of(field: str) -> SearchVector:
    """Return the words of a field, for an index and for what is to use it."""
    blanks = Value(" " * len(BETWEEN))
    spaced = Func(field, Value(BETWEEN), blanks, function="translate", output_field=models.TextField())
    return SearchVector(spaced, config="simple")


def beginning_like(text: str) -> SearchQuery | None:
    """Return a query for words that begin like those of a text, None if it has no word; a letter alone is one."""
    words = [f"{word}:*" if len(word) > 1 else word for word in text.translate(BLANKS).split()]
    return SearchQuery(" & ".join(words), config="simple", search_type="raw") if words else None
