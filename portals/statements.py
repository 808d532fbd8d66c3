"""The statements of a renewal, written out, as every portal passes them every night (docs/performance.md).

Each does what its name says in one round trip; what they mean is in `services`.
"""

from portals.models import Portal, PortalEvent
from portals.rows import Columns, fetch

RENEWAL_LOCKS = 7573  # our advisory locks in PostgreSQL: this number and a portal's id
PORTAL = Columns(portal=Portal)
encrypted = Portal._meta.get_field("token").get_prep_value

CLAIM_RENEWAL = f"SELECT pg_try_advisory_xact_lock({RENEWAL_LOCKS}, %s::int)"

READ_PORTAL = f"SELECT {PORTAL} FROM portals_portal portal WHERE id = %s"

# Nothing changes if the portal was installed again or uninstalled meanwhile.
STORE_PAIR = """
    WITH renewed AS (
        UPDATE portals_portal SET
            token = %(token)s, refresh_token = %(refresh_token)s,
            expires_at = %(expires_at)s, refresh_expires_at = %(refresh_expires_at)s,
            refreshed_at = %(refreshed_at)s, last_error = ''
        WHERE id = %(portal)s AND status = 'active' AND installed_at = %(installed_at)s
        RETURNING id
    )
    INSERT INTO portals_portalevent (portal_id, kind, text, created_at)
    SELECT id, %(kind)s, '', %(refreshed_at)s FROM renewed
    RETURNING id
"""


def claim_renewal(portal_id: int) -> bool:
    """Become the only one to renew a portal's tokens until the transaction ends; False if another is at it.

    The lock is not the portal's row: an installation writes it, and must not wait until Uspacy has answered.
    """
    [[claimed]] = fetch(CLAIM_RENEWAL, [portal_id])
    return bool(claimed)


def read_portal(portal_id: int) -> Portal:
    """Return a portal as it is now."""
    [row] = fetch(READ_PORTAL, [portal_id])
    portal: Portal = PORTAL.read(row)[0]
    return portal


def store_pair(portal: Portal, kind: PortalEvent.Kind) -> bool:
    """Store a portal's new pair, and that it has one; False if it was installed again or uninstalled meanwhile."""
    pair = {
        "token": encrypted(portal.token),
        "refresh_token": encrypted(portal.refresh_token),
        "expires_at": portal.expires_at,
        "refresh_expires_at": portal.refresh_expires_at,
        "refreshed_at": portal.refreshed_at,
        "portal": portal.pk,
        "installed_at": portal.installed_at,
        "kind": kind,
    }
    return bool(fetch(STORE_PAIR, pair))
