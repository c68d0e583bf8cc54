"""What the box tells Prometheus: a collector that pulls a snapshot on every scrape, and the server it answers from."""

from appliance.metrics.collector import BoxCollector
from appliance.metrics.server import MetricsServer
from appliance.metrics.snapshot import MapUse, RuleCount, Snapshot, WorkerUse

__all__ = ["BoxCollector", "MapUse", "MetricsServer", "RuleCount", "Snapshot", "WorkerUse"]
