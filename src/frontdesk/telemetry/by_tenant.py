"""Metrics whose first label is a tenant: those that come first are told apart, the rest are counted together.

A thousand tenants with labels of their own are tens of thousands of series: 10 KiB of memory each, and half a second in
which a scrape holds up everything else.
"""

from typing import Any  # prometheus_client's labels are of any type that has a text

from prometheus_client import Counter, Histogram

MOST = 100
OTHERS = "(others)"


class _ByTenant:
    """Beside a metric of prometheus_client, whose `labels` it bounds."""

    def labels(self, *labelvalues: Any, **labelkwargs: Any) -> Any:
        told: set[str] = self.__dict__.setdefault("_told", set())
        name = str(labelvalues[0])
        if name not in told:
            if len(told) >= MOST:
                name = OTHERS
            else:
                told.add(name)
        return super().labels(name, *labelvalues[1:], **labelkwargs)  # type: ignore[misc]  # the metric's


class TenantCounter(_ByTenant, Counter):
    """Counts of each tenant."""


class TenantHistogram(_ByTenant, Histogram):
    """Times of each tenant."""
