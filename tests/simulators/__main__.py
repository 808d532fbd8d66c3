"""``python -m tests.simulators``: the world on a port, with one portal and one messenger to play with."""

import argparse
import os
import threading
import time

import requests

from tests.simulators import World, outgoing, serve

PORTAL = "demo.uspacy.ua"
MESSENGER = "corner-shop"
CUSTOMERS = ("Ann Kovalenko", "Bohdan Melnyk")
WAIT = 120  # seconds for the app to come up


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators", description=__doc__)
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--app-url", default="http://127.0.0.1:8000", help="where the app listens")
    parser.add_argument("--empty", action="store_true", help="only serve; install and connect nothing")
    options = parser.parse_args()
    world = World(
        options.app_url,
        client_id=os.environ.get("USPACY_CLIENT_ID", "simulated-app"),
        client_secret=os.environ.get("USPACY_CLIENT_SECRET", "").split(",")[0] or World.CLIENT_SECRET,
    )
    with serve(world, options.port) as url:
        print(f"Uspacy   {url}/uspacy/{{domain}}\nSNS      {url}/sns/\nthe page {url}/", flush=True)
        if not options.empty:
            threading.Thread(target=set_the_scene, args=(world,), daemon=True).start()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            world.close()


def set_the_scene(world: World) -> None:
    """What happens before the first customer writes: the app is installed and a line is connected."""
    world.uspacy.create_portal(PORTAL)
    partner = world.add_messenger(MESSENGER, "Corner shop")
    for name in CUSTOMERS:
        partner.add_customer(name)
    if not app_is_up(world):
        print(f"{world.app_url} did not come up within {WAIT} s; nothing was installed", flush=True)
        return
    print(f"subscribe: {world.sns.subscribe().status_code}", flush=True)
    if not world.wait_for(lambda: world.sns.confirmed):
        print(
            "the subscription waits for approval in the app's admin; until then no event is delivered", flush=True
        )
    print(f"install in {PORTAL}: {world.uspacy.install(PORTAL).status_code}", flush=True)
    line = world.connect_line(PORTAL, partner, "Corner shop")
    print(f"line {line['id']}: {line['status']}", flush=True)


def app_is_up(world: World) -> bool:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            if outgoing.call("GET", f"{world.app_url}/health/live", timeout=5).ok:
                return True
        except requests.RequestException:
            pass
        time.sleep(0.5)
    return False


if __name__ == "__main__":
    main()
