"""Where tenants' files are: the example's, and those of the configured folder."""

import re
from pathlib import Path

from frontdesk.core.errors import SettingsError
from frontdesk.core.settings import Settings

# In a checkout beside `src`, in an installed package inside it.
_PLACES = (Path(__file__).parents[3] / "examples", Path(__file__).parents[1] / "examples")

# A line without indentation begins a key of the whole file: whatever is inside of one stands further right. Parsing a
# thousand files would take seconds of each start.
_SLUG = re.compile(r"""^['"]?slug['"]?[ ]*:[ ]+(['"]?)([a-z0-9-]+)\1[ ]*(?:[#].*)?$""", re.MULTILINE)


def tenant_folders(settings: Settings) -> dict[str, Path]:
    """Folder by the tenant's slug. Raises SettingsError."""
    folders: dict[str, Path] = {}
    if settings.example:
        folders[settings.example] = _example(settings.example)
    if settings.tenants is not None:
        if not settings.tenants.is_dir():
            raise SettingsError(f"FRONTDESK_TENANTS: {settings.tenants} is not a folder of tenant folders.")
        folders |= _by_slug(settings.tenants)
    return folders


def _by_slug(place: Path) -> dict[str, Path]:
    """Raises SettingsError for two of one tenant: each start would take turns between them."""
    found: dict[str, Path] = {}
    for path in sorted(place.glob("*/tenant.yaml")):
        slug, folder = _slug(path), path.parent
        if slug in found:
            raise SettingsError(f"FRONTDESK_TENANTS: {found[slug]} and {folder} are both of the tenant {slug}.")
        found[slug] = folder
    return found


def _slug(path: Path) -> str:
    """The folder's name where the file does not say: whoever applies it tells what is wrong with it."""
    try:
        said = _SLUG.search(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        said = None
    return said[2] if said is not None else path.parent.name


def _example(name: str) -> Path:
    for place in _PLACES:
        if (place / name / "tenant.yaml").is_file():
            return place / name
    known = sorted({path.parent.name for place in _PLACES for path in place.glob("*/tenant.yaml")})
    raise SettingsError(f"FRONTDESK_EXAMPLE: there is no example {name!r}. Known: {', '.join(known) or 'none'}.")
