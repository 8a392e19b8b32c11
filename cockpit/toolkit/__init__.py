"""What a tool module is written with: kinds, diagnostics, resources, actions, remediations.

A plug-in imports from here and from `cockpit.model`, and from nowhere else in cockpit. It
registers its kind under the entry-point group `cockpit.tools`, as the built-in ones do.
"""

from cockpit.text import counted
from cockpit.toolkit.client import Client
from cockpit.toolkit.invoke import inspect, plan, probe, undo_plan
from cockpit.toolkit.items import Action, Resource, nothing_to_do, plan_of
from cockpit.toolkit.kind import Kind, Option, RegistrationError, Tool
from cockpit.toolkit.registry import Registry

__all__ = [
    "Action",
    "Client",
    "Kind",
    "Option",
    "RegistrationError",
    "Registry",
    "Resource",
    "Tool",
    "counted",
    "inspect",
    "nothing_to_do",
    "plan",
    "plan_of",
    "probe",
    "undo_plan",
]
