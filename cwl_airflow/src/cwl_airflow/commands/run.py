"""Run one CWL document on this host, as other CWL runners do: through Airflow's REST API, as any run.

Exit codes are those that CWL's conformance tests know: 0 success, 1 failure, 33 a feature is not supported.
Source: https://github.com/common-workflow-language/cwltest
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from ..configuration import read_administrator
from ..gate import Refused
from ..local_run import LocalRunFailed, run_document
from ..rest import AirflowClient

UNSUPPORTED = 33


def main(argv: list[str] | None = None) -> int:
    """Print the outputs of a document as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", help="path or URL of the document, with #name for one process of several")
    parser.add_argument("job", nargs="?", help="path of the job's file, which the service must be able to read")
    parser.add_argument(
        "--outdir", type=Path, help="folder for the outputs (default: they stay in the host's outputs folder)"
    )
    parser.add_argument("--timeout", type=float, default=3600, help="seconds (default: 3600)")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="Airflow's api-server (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="say nothing of failed tasks")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    client = AirflowClient(options.url, *read_administrator())
    try:
        outputs = run_document(client, options.tool, options.job, options.outdir, options.timeout)
    except (LocalRunFailed, Refused) as error:
        if not options.quiet:
            print(error, file=sys.stderr)
        return UNSUPPORTED if "UnsupportedRequirement" in str(error) else 1
    print(json.dumps(outputs, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
