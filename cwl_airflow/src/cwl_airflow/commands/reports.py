"""Report what happens to runs of CWL documents to the receiver of the site, and mail what is amiss.

One instance per site works; others wait. It reads Airflow's database and takes no part in running anything. Every
report is kept in the table cwl_reports until it is delivered. If this process is killed between a receiver's answer and
the note of it, that one report is sent again, with the same Idempotency-Key.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys

from ..reports.receiver import CONNECTION

log = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> int:
    """Run the service; exit code 1 when something broke, 0 when it was told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(argv)

    # Only now, as it loads Airflow, which takes seconds and sets up the logs.
    from ..notices.settings import NoticesMisconfigured
    from ..notices.site import make_service

    try:
        service = make_service()
    except NoticesMisconfigured as error:
        print(error, file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop.set())
    log.info("Reporting to the connection %s, while there is one", CONNECTION)
    service.run()
    return int(service.broken)


if __name__ == "__main__":
    sys.exit(main())
