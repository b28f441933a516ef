"""The bill of materials of a box."""

from __future__ import annotations

import json

import pytest
from sbom import bill

DEBIAN = "adduser 3.152 all\nlibc6 2.41-12+deb13u2 amd64\ngit 1:2.47.3-0+deb13u1 amd64"
PYTHON = "apache-airflow==3.3.2\ncwltool==3.3.20260925135507"
IMAGES = "debian trixie-slim sha256:2a72\nbiocontainers/bwa v0.7.17_cv1 sha256:ea9a"


def test_every_package_and_image_is_there() -> None:
    bom = json.loads(bill("cwl-airflow-production", "1.2.3", DEBIAN, PYTHON, IMAGES))
    assert bom["bomFormat"] == "CycloneDX"
    assert bom["metadata"]["component"]["version"] == "1.2.3"
    assert {component["purl"] for component in bom["components"]} == {
        "pkg:deb/debian/adduser@3.152?arch=all",
        "pkg:deb/debian/libc6@2.41-12%2Bdeb13u2?arch=amd64",
        "pkg:deb/debian/git@1:2.47.3-0%2Bdeb13u1?arch=amd64",
        "pkg:pypi/apache-airflow@3.3.2",
        "pkg:pypi/cwltool@3.3.20260925135507",
        "pkg:docker/debian@sha256:2a72?tag=trixie-slim",
        "pkg:docker/biocontainers/bwa@sha256:ea9a?tag=v0.7.17_cv1",
    }
    containers = [component["name"] for component in bom["components"] if component["type"] == "container"]
    assert sorted(containers) == ["bwa", "debian"]


@pytest.mark.parametrize("empty", ["debian", "python", "images"])
def test_empty_list(empty: str) -> None:
    lists = {"debian": DEBIAN, "python": PYTHON, "images": IMAGES} | {empty: ""}
    assert json.loads(bill("box", "1", **lists))["components"]


def test_line_that_is_none() -> None:
    with pytest.raises(ValueError, match="unpack"):
        bill("box", "1", "only-a-name", "", "")
