"""Presets: whole configurations by name, and how one is fitted to a dataset."""

from collections.abc import Callable

from ganforge.config import RunConfig
from ganforge.errors import ConfigError, unknown
from ganforge.presets.dcgan import DCGAN_PRESETS, default_dcgan
from ganforge.presets.pggan import PGGAN_PRESETS, default_pggan
from ganforge.presets.sagan import SAGAN_PRESETS, default_sagan
from ganforge.schedule import Span

PRESETS: dict[str, Callable[[], RunConfig]] = {**PGGAN_PRESETS, **SAGAN_PRESETS, **DCGAN_PRESETS}

DEFAULTS: dict[str, Callable[[tuple[int, int], int, int, int, int, bool], RunConfig]] = {
    "pggan": default_pggan,
    "sagan": default_sagan,
    "dcgan": default_dcgan,
}

__all__ = ["DEFAULTS", "PRESETS", "continued", "default_for", "find_preset", "fit"]


def find_preset(name: str) -> RunConfig:
    """The configuration of that name. Raises ConfigError that lists the names."""
    if name not in PRESETS:
        raise ConfigError(unknown("preset", name, PRESETS))
    return PRESETS[name]()


def default_for(
    arch: str, *, base: tuple[int, int], resolution: int, channels: int, classes: int, count: int, gpu: bool
) -> RunConfig:
    """What `--arch` means without a preset: the small one of that architecture, scaled to the pictures and the device.

    Raises ConfigError for an architecture that is not there.
    """
    if arch not in DEFAULTS:
        raise ConfigError(unknown("architecture", arch, DEFAULTS))
    return DEFAULTS[arch](base, resolution, channels, classes, count, gpu)


def fit(config: RunConfig, *, base: tuple[int, int], resolution: int, channels: int, classes: int) -> RunConfig:
    """A preset for pictures of another base grid, size, colour or count of classes.

    Phases above `resolution` fall away; a network that does not grow trains at it. A preset without classes stays so.
    """
    grows = len({phase.resolution for phase in config.phases}) > 1
    old_base, phases = min(config.network.base), config.phases
    if grows:
        scaled = [phase.model_copy(update={"resolution": phase.resolution // old_base * min(base)}) for phase in phases]
        phases = tuple(phase for phase in scaled if phase.resolution <= resolution)
        resolution = max(phase.resolution for phase in phases)
    else:
        phases = tuple(phase.model_copy(update={"resolution": resolution}) for phase in phases)
    changes = {
        "base": base,
        "resolution": resolution,
        "channels": channels,
        "classes": classes if config.network.classes else 0,
    }
    network = config.network.model_copy(update=changes)
    return RunConfig.parse(config.model_copy(update={"network": network, "phases": phases}).model_dump(mode="json"))


def continued(source: RunConfig, begun: RunConfig) -> RunConfig:
    """The configuration that fine-tunes `source`'s networks on the pictures that `begun` was made for.

    All is as in the source run but the pictures' size, channels and classes, and the phases: those of `begun` from the
    source's resolution up. Raises ConfigError for pictures of another base grid.
    """
    network, target = source.network, begun.network
    if network.base != target.base:
        raise ConfigError(
            f"--from: that run's base grid is {network.base}, these pictures' is {target.base}; "
            "prepare them with the same --aspect and a --max-res of the same family"
        )
    resolution = max(target.resolution, min(phase.resolution for phase in source.phases))
    start = min(network.resolution, resolution)
    phases = [phase for phase in begun.phases if phase.resolution >= start]
    nothing = Span(0, phases[0].fade.unit)
    phases[0] = phases[0].model_copy(update={"fade": nothing})
    changed = network.model_copy(
        update={"resolution": resolution, "channels": target.channels, "classes": target.classes}
    )
    return RunConfig.parse(
        source.model_copy(update={"network": changed, "phases": tuple(phases), "kimg": None}).model_dump(mode="json")
    )
