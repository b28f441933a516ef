"""Where the secrets of Airflow's configuration and of units go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

Config = Mapping[str, Mapping[str, Any]]
Options = Mapping[str, Collection[str]]


def without_options(config: Config, options: Options) -> dict[str, dict[str, Any]]:
    """Return a configuration without some options.

    :param config: options and their values by section.
    :param options: names of options by section.
    """
    return {
        section: {name: value for name, value in values.items() if name not in options.get(section, ())}
        for section, values in config.items()
    }


def options_environment(config: Config, options: Options) -> dict[str, Any]:
    """Return the values of some options, those that are set, by the environment variables that Airflow reads instead.

    :param config: options and their values by section.
    :param options: names of options by section.
    """
    return {
        f"AIRFLOW__{section}__{name}".upper(): config[section][name]
        for section, names in options.items()
        for name in names
        if name in config.get(section, {})
    }


def login_units(units: Mapping[str, Mapping[str, Any]], credentials: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return a table of services, where those that take logins (``logins``) have more credentials.

    :param units: the table of services.
    :param credentials: values by name.
    """
    return {
        service: {**unit, "credentials": {**unit.get("credentials", {}), **(credentials if unit.get("logins") else {})}}
        for service, unit in units.items()
    }


def unit_credentials(units: Mapping[str, Mapping[str, Any]], services: Iterable[str]) -> list[dict[str, str]]:
    """Return the credentials of services, each with the ``name`` of its file and its ``value``.

    :param units: the table of services.
    :param services: names of those of this host.
    """
    return [
        {"name": f"{service}.{name}", "value": value}
        for service in services
        for name, value in units[service].get("credentials", {}).items()
    ]


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "without_options": without_options,
            "options_environment": options_environment,
            "login_units": login_units,
            "unit_credentials": unit_credentials,
        }
