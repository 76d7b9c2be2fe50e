"""What an engine says of itself before it is loaded: names, launch commands, releases, and what its files and devices are."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.engines.base.serving import Serving

__all__ = ["Declaration"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """One engine of one folder. Modules are named, not imported: asking what engines there are loads none of them.

    Parameters
    ----------
    id : str
        As ``--engine`` takes it.
    module : str
        The module that has ``ENGINE``.
    flags : str
        The module that has ``FLAGS`` and ``settle``.
    name : str
        As its makers write it; the id where empty.
    order : int
        Place in lists; the first is the default.
    aliases : tuple of str
        Other ids of it.
    neighbours : tuple of str
        Engines that people name, that use memory by rules of their own, and to which this one is nearest.
    releases : tuple of (str, str)
        (first month that it was the newest, release), the oldest first.
    fork_releases : tuple of (str, str)
        The same of its fork, whose builds have numbers of their own.
    months : tuple of (str, str)
        Images that are named by a month, and the release in each, the oldest first.
    launchers : tuple of tuple of str
        The words that begin a launch command, each of them in this order: ("vllm", "serve").
    images : tuple of str
        What the name of a container image of it holds.
    calls : tuple of str
        Names of functions whose call in a line of Python starts it.
    environment : tuple of str
        Beginnings of its environment variables; what follows is the name of a flag.
    abbreviates : bool
        Its command line takes a beginning of a long flag for the flag where there is one only (Python's ``argparse``).
    decimal_k : bool
        Its command line reads ``32k`` as 32,000 and ``32K`` as 32,768.
    devices_like : str or None
        The engine whose devices speak for this one where the facts say nothing of it. Its "no" proves nothing.
    widens : bool
        It turns a format that it or the device lacks into 16 bits, and says so itself.
    takes_gguf : bool
        It takes any GGUF recipe as a file.
    takes_mlx : bool
        It takes checkpoints of MLX.
    made_on_load : tuple of str
        Formats that it makes of a 16-bit checkpoint while it loads.
    speed_family : str
        The engine whose fixed costs stand for its own; its id where empty.
    shares_steps : bool
        Prompts share a step with requests that already generate.
    admits_with_margin : bool
        A request is admitted only where a share of what all running answers still write finds room as well.
    layout_by_devices : bool
        Its layout is the number of its devices, by layers or by rows; no other parallelism.
    dp_divides_tp : bool
        Its tensor-parallel size counts ranks of attention data parallelism; without those, data parallelism is copies of the engine.
    builds : bool
        Its versions are numbers of builds.
    placed_by_hand : bool
        What goes to which device follows from flags that a log without its command line does not tell.
    library_of_checkpoints : bool
        Its own library stores a model as the checkpoint has it where nothing else is named.
    writes : bool
        It answers requests with text; one that does not embeds and ranks, and has no part in plans.
    serving : Serving or None
        How its server runs in a container; None where it is no server, or runs in none.
    sheet : str
        The module that has ``sheet_at``, where its account can be recorded in a workbook.
    log : str
        The module that has ``LOG``, where its log can be read.
    log_lines : str
        The module that has ``LINES``, where it is known what its log will say.
    sheet_takes_settings : bool
        That account can be recorded with settings that the operator says.
    """

    id: str
    module: str
    flags: str
    name: str = ""
    order: int = 100
    aliases: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    releases: tuple[tuple[str, str], ...] = ()
    fork_releases: tuple[tuple[str, str], ...] = ()
    months: tuple[tuple[str, str], ...] = ()
    launchers: tuple[tuple[str, ...], ...] = ()
    images: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    abbreviates: bool = False
    decimal_k: bool = False
    devices_like: str | None = None
    widens: bool = False
    takes_gguf: bool = False
    takes_mlx: bool = False
    made_on_load: tuple[str, ...] = ()
    speed_family: str = ""
    shares_steps: bool = True
    admits_with_margin: bool = False
    layout_by_devices: bool = False
    dp_divides_tp: bool = False
    builds: bool = False
    placed_by_hand: bool = False
    library_of_checkpoints: bool = False
    writes: bool = True
    serving: Serving | None = None
    sheet: str = ""
    log: str = ""
    log_lines: str = ""
    sheet_takes_settings: bool = False

    @property
    def family(self) -> str:
        """The engine whose fixed costs of speed stand for its own."""
        return self.speed_family or self.id

    @property
    def label(self) -> str:
        """Its name for readers."""
        return self.name or self.id
