"""Epochs: how whoever frees or reuses something waits for those who may still hold it.

    reader   a worker's packet loop, a native call from Python: it holds addresses, ids and slots until it passes a
             quiescent state
    domain   the registry of readers and the global epoch; this process has one, and readers of its code in other
             processes announce themselves in memory that all of them share (appliance.memory)

                      synchronize: wait until every reader has passed a quiescent state       (synchronize_rcu)
    publish ──> then <
                      retire: have it freed once every reader has                             (call_rcu)

Nothing that native code may hold is unmapped, closed, freed or used anew but through `default_domain`. The words are
those of the kernel's RCU (Documentation/RCU/whatisRCU.rst) and of userspace RCU (Desnoyers et al., IEEE TPDS 2012).
Why epochs, and in what order memory is written: docs/decisions/0024-one-way-to-wait-for-readers.md.
"""

from appliance.epochs.domain import GRACE_SECONDS, Domain, Section, default_domain
from appliance.epochs.errors import GracePeriodExpired
from appliance.epochs.ordering import assign_pointer, begin_change
from appliance.epochs.readers import QUIESCENT, NativeReader, Reader

__all__ = [
    "GRACE_SECONDS",
    "QUIESCENT",
    "Domain",
    "GracePeriodExpired",
    "NativeReader",
    "Reader",
    "Section",
    "assign_pointer",
    "begin_change",
    "default_domain",
]
