"""The options of each service, checked against its kind; secrets are fetched, and told to the redactor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cockpit.model import Service
from cockpit.settings.checks import dotted, fitted, no_such, unknown
from cockpit.settings.http import with_tokens
from cockpit.settings.models import keys_of
from cockpit.settings.notifying import parts_of, secrets_of
from cockpit.settings.secrets import FORMS, fetch, refuse_readable
from cockpit.settings.services import COMMON
from cockpit.settings.values import Keys, Origin, Settings, SettingsError
from cockpit.text import Redactor

if TYPE_CHECKING:
    from cockpit.toolkit import Kind, Option, Registry

NOWHERE = Origin("the config")
EMBEDDED = re.compile(r"://[^/@:\s]*:([^/\s]+)@")


def with_options(settings: Settings, registry: Registry, redactor: Redactor) -> Settings:
    """The settings with every service's options checked, completed with defaults, its secrets in place.

    Raises SettingsError for an unknown kind, option or tool, a wrong value, or a secret that others can read.
    """
    services = tuple(
        options_of(service, _kind(service, registry, settings.origins), settings.origins, redactor)
        for service in settings.services
    )
    for tool in settings.policy.levels:
        if tool not in registry.tools:
            origin = _origin(settings.origins, ("policy", "levels", tool))
            raise no_such(tool, tool, "tool", origin, registry.tools)
    for secret in secrets_of(settings):
        for part in parts_of(secret):
            redactor.add(part, secret.name)
    for key in keys_of(settings):
        redactor.add(key.fetched(), key.name)
    if settings.telegram:
        redactor.add(settings.telegram.token.fetched(), settings.telegram.token.name)
    return replace(settings, services=services, http=with_tokens(settings.http, redactor))


def options_of(service: Service, kind: Kind, origins: Mapping[Keys, Origin], redactor: Redactor) -> Service:
    """One service with its options as its kind wants them. Raises SettingsError."""
    path = ("services", *service.name.split("/", 1))
    known = {name: option for option in kind.options for name in _names(option)}
    values: dict[str, Any] = {option.name: option.default for option in kind.options if option.default is not None}
    given: set[str] = set()
    for name, raw in service.options.items():
        keys, origin = (*path, name), _origin(origins, (*path, name))
        if name not in known:
            raise unknown(keys, origin, {*known, *COMMON})
        option = known[name]
        if option.name in given:
            raise SettingsError(
                f"{origin}: '{dotted((*path, option.name))}' is given twice.", "Keep one way of giving it."
            )
        given.add(option.name)
        values[option.name] = _value(option, keys, raw, origin)
        _tell(redactor, f"{service.name}.{option.name}", option, values[option.name])
    for option in kind.options:
        if option.required and option.name not in given:
            origin = _origin(origins, path)
            raise SettingsError(
                f"{origin}: {service.name} lacks '{option.name}': {option.help}", f"Add it: {option.name} = …"
            )
    return replace(service, options=values)


def _names(option: Option) -> tuple[str, ...]:
    return (option.name, *(option.name + form for form in FORMS)) if option.secret else (option.name,)


def _value(option: Option, keys: Keys, raw: Any, origin: Origin) -> Any:
    if not option.secret:
        return fitted_option(keys, raw, origin, option.type)
    text: str = fitted(keys, raw, origin, str)
    if keys[-1] != option.name:
        return fetch(keys[-1].removeprefix(option.name), text, origin)
    if origin.file:
        refuse_readable(origin.file, "it holds a secret")
    return text


def fitted_option(keys: Keys, raw: Any, origin: Origin, wanted: type) -> Any:
    """An option as its type; a table may hold lists, which a kind checks itself. Raises SettingsError."""
    return raw if wanted is list and isinstance(raw, list) else fitted(keys, raw, origin, wanted)


def _tell(redactor: Redactor, name: str, option: Option, value: Any) -> None:
    if option.secret:
        redactor.add(value, name)
    for embedded in EMBEDDED.findall(value) if isinstance(value, str) else ():
        redactor.add(embedded, name)


def _kind(service: Service, registry: Registry, origins: Mapping[Keys, Origin]) -> Kind:
    if service.kind not in registry.kinds and service.kind not in registry.broken:
        origin = _origin(origins, ("services", *service.name.split("/", 1)))
        raise no_such(service.kind, service.kind, "kind of service", origin, registry.kinds)
    return registry.kind(service.kind)


def _origin(origins: Mapping[Keys, Origin], keys: Keys) -> Origin:
    for known, origin in origins.items():
        if known[: len(keys)] == keys or known == keys:
            return origin
    return NOWHERE
