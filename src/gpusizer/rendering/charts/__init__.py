"""Pictures of an answer as SVG: drawn here, without a library, a script or a style, for pages under any Content-Security-Policy."""

from gpusizer.rendering.charts.cost_chart import cost_chart
from gpusizer.rendering.charts.latency_chart import latency_chart
from gpusizer.rendering.charts.memory_bar import memory_bar
from gpusizer.rendering.charts.memory_chart import memory_chart
from gpusizer.rendering.charts.queue_chart import queue_chart
from gpusizer.rendering.charts.svg import stylesheet

__all__ = ["cost_chart", "latency_chart", "memory_bar", "memory_chart", "queue_chart", "stylesheet"]
