"""Write the bill of materials of a box: lists on standard input, CycloneDX 1.6 on standard output.

Source: https://cyclonedx.org/docs/1.6/json/, https://github.com/package-url/purl-spec
"""

from __future__ import annotations

import argparse
import json
import sys

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def bill(name: str, version: str, debian: str, python: str, images: str) -> str:
    """Return the bill of materials of a box.

    :param name: the box's name.
    :param version: its version.
    :param debian: Debian's packages, ``name version architecture`` in each line.
    :param python: Python's packages, ``name==version`` in each line.
    :param images: container images, ``repository tag id`` in each line.
    :returns: CycloneDX 1.6 as JSON, checked by its schema.
    """
    bom = Bom()
    box = Component(name=name, version=version, type=ComponentType.OPERATING_SYSTEM, bom_ref=f"{name}@{version}")
    bom.metadata.component = box
    urls = [
        PackageURL("deb", "debian", package, number, {"arch": architecture})
        for package, number, architecture in map(str.split, debian.splitlines())
    ]
    urls += [
        PackageURL("pypi", None, package, number)
        for package, number in (line.split("==") for line in python.splitlines())
    ]
    kinds = {"deb": ComponentType.LIBRARY, "pypi": ComponentType.LIBRARY, "docker": ComponentType.CONTAINER}
    for repository, tag, identity in map(str.split, images.splitlines()):
        namespace, _, last = repository.rpartition("/")
        urls.append(PackageURL("docker", namespace or None, last, identity, {"tag": tag}))
    for url in urls:
        bom.components.add(
            Component(name=url.name, version=url.version, type=kinds[url.type], purl=url, bom_ref=url.to_string())
        )
    bom.register_dependency(box, bom.components)
    text: str = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(str(error))
    return text


def main() -> None:
    """Read and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("version")
    arguments = parser.parse_args()
    print(bill(arguments.name, arguments.version, **json.load(sys.stdin)))


if __name__ == "__main__":
    main()
