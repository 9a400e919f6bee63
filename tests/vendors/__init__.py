"""Language model vendors on loopback: their wire formats, scripted by each test. Never part of the product."""

from tests.vendors.replies import Reply, ToolUse, Use, VendorRequest
from tests.vendors.server import Vendor

__all__ = ["Reply", "ToolUse", "Use", "Vendor", "VendorRequest"]
