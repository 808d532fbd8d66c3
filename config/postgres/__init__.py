"""Django's PostgreSQL backend, with two round trips saved where every message passes (docs/performance.md)."""
