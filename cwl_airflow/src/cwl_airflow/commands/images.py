"""List the container images that CWL documents need."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..documents.images import find_images
from .version import add_version


def main(argv: list[str] | None = None) -> int:
    """Print the images of CWL documents as JSON; exit code 1 when a document could not be read."""
    images, errors = find_images(make_parser().parse_args(argv).folders)
    json.dump({"images": images, "errors": errors}, sys.stdout, indent=2)
    print()
    return 1 if errors else 0


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(prog="cwl-airflow-images", description=__doc__)
    add_version(parser)
    parser.add_argument("folders", nargs="+", type=Path, help="folders with *.cwl, or documents")
    return parser


if __name__ == "__main__":
    sys.exit(main())
