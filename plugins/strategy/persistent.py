"""The linear strategy with one Python per host and play, where Mitogen is installed.

Ansible starts a Python on the host for every task, some 0.3 s each; Mitogen keeps one and sends it the
modules (https://mitogen.networkgenomics.com/ansible_detailed.html). Without Mitogen this is Ansible's own
linear strategy: the same results, later.
"""

from __future__ import annotations

from ansible.plugins.loader import strategy_loader

Linear = strategy_loader.get("linear", class_only=True)

try:
    from ansible_mitogen.strategy import StrategyMixin
except ImportError:
    StrategyModule = Linear
else:

    class StrategyModule(StrategyMixin, Linear):  # type: ignore[no-redef]
        """Ansible's linear strategy over Mitogen's connections."""
