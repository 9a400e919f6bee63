"""Where tenants' files are: the example's, and those of the configured folder."""

from pathlib import Path

from frontdesk.core.errors import SettingsError
from frontdesk.core.settings import Settings

# In a checkout beside `src`, in an installed package inside it.
_PLACES = (Path(__file__).parents[3] / "examples", Path(__file__).parents[1] / "examples")


def tenant_folders(settings: Settings) -> dict[str, Path]:
    """Folder by the tenant's slug, which is the folder's name. Raises SettingsError."""
    folders: dict[str, Path] = {}
    if settings.example:
        folders[settings.example] = _example(settings.example)
    if settings.tenants is not None:
        if not settings.tenants.is_dir():
            raise SettingsError(f"FRONTDESK_TENANTS: {settings.tenants} is not a folder of tenant folders.")
        folders |= {path.parent.name: path.parent for path in sorted(settings.tenants.glob("*/tenant.yaml"))}
    return folders


def _example(name: str) -> Path:
    for place in _PLACES:
        if (place / name / "tenant.yaml").is_file():
            return place / name
    known = sorted({path.parent.name for place in _PLACES for path in place.glob("*/tenant.yaml")})
    raise SettingsError(f"FRONTDESK_EXAMPLE: there is no example {name!r}. Known: {', '.join(known) or 'none'}.")
