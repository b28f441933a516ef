"""The linear strategy with one Python per host and play, where Mitogen is installed.

Ansible starts a Python on the host for every task, some 0.3 s each; Mitogen keeps one and sends it the
modules (https://mitogen.networkgenomics.com/ansible_detailed.html). Without Mitogen this is Ansible's own
linear strategy: the same results, later.

Of eight hosts with nothing to change, all on one machine of two cores, ``site.yml`` took 226 s before what this
module does beside that, and 165 s with it.
"""

from __future__ import annotations

import gc
import os
from typing import Any

from ansible.collections.list import list_collection_dirs
from ansible.plugins.loader import action_loader, filter_loader, lookup_loader, strategy_loader, test_loader

Linear = strategy_loader.get("linear", class_only=True)

try:
    from ansible_mitogen import affinity, planner
    from ansible_mitogen.strategy import StrategyMixin
except ImportError:
    StrategyModule = Linear
else:
    # Mitogen keeps one process on the first core, and all others and what they start off it: of two cores one was idle.
    affinity.policy = affinity.Policy()

    # Each task looked for all collections, as it is a process of its own: 0.1 s.
    COLLECTIONS = {os.fsdecode(folder) for folder in list_collection_dirs()}
    planner._load_collections = lambda invocation: invocation._extra_sys_paths.update(COLLECTIONS)

    class StrategyModule(StrategyMixin, Linear):  # type: ignore[no-redef]
        """Ansible's linear strategy over Mitogen's connections."""

        def run(self, *arguments: Any, **values: Any) -> Any:
            """Run a play.

            Each task is a copy of this process: what is loaded here it need not load, and what is frozen its collector
            does not touch, which would copy it.
            """
            for loader in (action_loader, filter_loader, lookup_loader, test_loader):
                list(loader.all(class_only=True))
            gc.collect()
            gc.freeze()
            return super().run(*arguments, **values)
