"""What `apply` needs, out of a server's parts: for the start and for the command."""

import os

from frontdesk.apply import ApplyServices
from frontdesk.apply.files import PROVIDERS
from frontdesk.core.limits import Limits
from frontdesk.server.services import Services


def apply_services(services: Services) -> ApplyServices:
    return ApplyServices(
        database=services.database,
        knowledge=services.knowledge,
        cipher=services.cipher,
        fit=services.supervisor.fit,
        environment=os.environ,
        providers=PROVIDERS | set(services.settings.providers),
        limits=Limits(**services.settings.limits.model_dump()),
    )
