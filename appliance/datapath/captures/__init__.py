"""Captures: the frames of pcap and pcapng files in memory, as the Ethernet frames that programs judge."""

from appliance.datapath.captures.capture import FRAME, Capture, Record
from appliance.datapath.captures.directions import tell_directions
from appliance.datapath.captures.errors import CaptureRefused

__all__ = ["FRAME", "Capture", "CaptureRefused", "Record", "tell_directions"]
