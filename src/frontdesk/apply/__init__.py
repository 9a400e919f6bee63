"""Tenants as files: read a folder, compare it with what is stored, bring the store up to it."""

from frontdesk.apply.apply import ApplyServices, Report, apply_folder
from frontdesk.apply.files import Folder, read_folder
from frontdesk.apply.plan import Change, FieldChange, Plan, Progress

__all__ = [
    "ApplyServices",
    "Change",
    "FieldChange",
    "Folder",
    "Plan",
    "Progress",
    "Report",
    "apply_folder",
    "read_folder",
]
