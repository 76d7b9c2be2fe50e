"""One model on one machine: each way to start it is judged by its engine, until one holds the load."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration, get_engine
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.types import Accelerator
from gpusizer.performance.batch import Ask
from gpusizer.performance.types import Load
from gpusizer.planning.conversion import by_precision
from gpusizer.planning.need import Need
from gpusizer.planning.option_speeds import OptionSpeeds
from gpusizer.planning.request import Request
from gpusizer.planning.run_on.machine import Group, Machine
from gpusizer.planning.run_on.shortlist import Candidate, Trial
from gpusizer.planning.run_on.types import OFFLOADED, Start
from gpusizer.planning.search import best_layout
from gpusizer.planning.sizes import replica_sizes
from gpusizer.planning.starts import known_fit
from gpusizer.planning.types import FITS, TIGHT, Rejected
from gpusizer.planning.wanted import Search

__all__ = ["Asked", "Refused", "started"]
