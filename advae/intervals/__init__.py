"""Bounds of networks: what the logits can be for all images of a box."""

from advae.intervals.arithmetic import Bounds
from advae.intervals.bounding import bound, list_unbounded, make_box, trace_network
from advae.intervals.crown import bound_margins_backward
from advae.intervals.margins import bound_margins

__all__ = ["Bounds", "bound", "bound_margins", "bound_margins_backward", "list_unbounded", "make_box", "trace_network"]
