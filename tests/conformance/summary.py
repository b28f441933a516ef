"""Print passed, failed and unsupported tests by tag, from the folder of results that bin/conformance makes."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Print a Markdown table, and the names of the tests that did not pass."""
    print("| tag | passed | failed | unsupported |\n| --- | ---: | ---: | ---: |")
    wrong: set[str] = set()
    for file in sorted(folder.glob("tags/*.md"), key=lambda file: (file.stem != "all", file.stem)):
        lists = re.split(r"^## List of \w+ tests$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        names = [re.findall(r"^- \[(.*?)\]", each, flags=re.MULTILINE) for each in lists]
        print(f"| {file.stem} | " + " | ".join(str(len(each)) for each in names) + " |")
        wrong.update(*names[1:])
    print("did not pass: " + (", ".join(sorted(wrong)) or "none"))


main(Path(sys.argv[1]))
