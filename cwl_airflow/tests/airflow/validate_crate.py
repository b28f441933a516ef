"""Print what a crate lacks for a profile, as a list in JSON: ``validate_crate.py <folder> <profile> <severity>``.

Nothing is fetched. The one context that a crate of ours names, RO-Crate's own, comes from the library rocrate, which
has that of a later release. It has all words of the earlier one, of which four have another meaning now.
"""

from __future__ import annotations

import importlib.resources
import json
import sys
from typing import Any

from rocrate_validator import services
from rocrate_validator.models import Severity
from rocrate_validator.utils import document_loader

CONTEXT = json.loads(importlib.resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text(encoding="utf-8"))
OF_1_1 = {name: f"https://bioschemas.org/{name}" for name in ("ComputationalWorkflow", "FormalParameter")}
OF_1_1 |= {name: f"https://bioschemas.org/ComputationalWorkflow#{name}" for name in ("input", "output")}
KNOWN = "https://w3id.org/ro/crate/1.1/context"


def fetch(url: str) -> Any:
    """Return the context."""
    assert url == KNOWN, url
    return {"@context": {**CONTEXT["@context"], **OF_1_1}}


def main(folder: str, profile: str, severity: str) -> None:
    """Look at a crate."""
    document_loader._fetch_json_ld = fetch
    settings = services.ValidationSettings(
        rocrate_uri=folder,
        profile_identifier=profile,
        requirement_severity=Severity[severity],
        skip_availability_check=True,
        skip_checks=["ro-crate-1.1_3.1", "ro-crate-1.1_3.2"],  # whether the context can be fetched
    )
    result = services.validate(settings)
    issues = [f"{issue.severity.name}: {issue.check.identifier}: {issue.message}" for issue in result.get_issues()]
    print(json.dumps({"checks": len(result.executed_checks), "issues": issues}))


main(*sys.argv[1:])
