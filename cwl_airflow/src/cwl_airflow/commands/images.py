"""List the container images that CWL documents need."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..documents.images import find_images


def main(argv: list[str] | None = None) -> int:
    """Print the images of CWL documents as JSON; exit code 1 when a document could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders with *.cwl, or documents")
    images, errors = find_images(parser.parse_args(argv).folders)
    json.dump({"images": images, "errors": errors}, sys.stdout, indent=2)
    print()
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
