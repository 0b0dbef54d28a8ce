"""Installing the plugin on a website and taking it off again (crisp/REFERENCE.md section 2)."""

from app.sandbox.recording import record
from app.sandbox.records import Change
from app.sandbox.site import Site
from app.sandbox.world import World

_EVENT = "plugin:subscription:updated"


def uninstall(world: World, site: Site) -> Change:
    return _set(world, site, installed=False)


def reinstall(world: World, site: Site) -> Change:
    return _set(world, site, installed=True)


def _set(world: World, site: Site, *, installed: bool) -> Change:
    site.installed = installed
    difference = "linked" if installed else "unlinked"
    site.install_changes.append((world.clock.now(), difference))
    data = {"plugin_id": world.plugin_id, "bound": installed, "target": "plugin_subscriptions"}
    return record(world, site, "installed" if installed else "uninstalled", _EVENT, **data)
