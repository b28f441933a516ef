"""Options and environment variables of Airflow that a site sets and that would not do what it expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

#: Variables by which HTTP clients find a proxy, by the URL's scheme.
PROXIES = {
    "http": ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
}


def removed_options(
    config: Mapping[str, Mapping[str, Any]],
    removed: Mapping[str, Mapping[str, str]],
    own: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """Say which options of a configuration Airflow does not know, each with what to do.

    :param config: options and their values by section.
    :param removed: by section, the names of options and what they became (``section.option``, or nothing).
    :param own: by section, the names of options that have a variable of their own, and that.
    """
    found = []
    for section, options in config.items():
        for name in sorted(set(options) & set(removed.get(section, {}))):
            new_section, _, new_name = removed[section][name].partition(".")
            if variable := own.get(new_section, {}).get(new_name):
                fix = f"set {variable}"
            else:
                fix = f"set {new_name} in the section {new_section}" if new_name else "remove it"
            found.append(f"{name} in the section {section} ({fix})")
    return found


def options_variables(options: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return a table of options by the environment variables that Airflow reads before ``airflow.cfg``.

    The forms with which a command or a secrets backend gives the value are among them.

    :param options: by section, names of options and anything that is told of each.
    """
    return {
        f"AIRFLOW__{section}__{name}{form}".upper(): value
        for section, values in options.items()
        for name, value in values.items()
        for form in ("", "_cmd", "_secret")
    }


def proxied(environment: Mapping[str, Any], url: str) -> str:
    """Return the name of the variable that puts a proxy before a URL, or nothing.

    :param environment: variables by name.

    Source: https://www.python-httpx.org/environment_variables/
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    without = [
        name.strip()
        for variable in ("no_proxy", "NO_PROXY")
        for name in str(environment.get(variable, "")).split(",")
        if name.strip()
    ]
    if any(name in ("*", host) or host.endswith("." + name.lstrip(".")) for name in without):
        return ""
    return next((name for name in PROXIES.get(parts.scheme, ()) if environment.get(name)), "")


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"removed_options": removed_options, "options_variables": options_variables, "proxied": proxied}
