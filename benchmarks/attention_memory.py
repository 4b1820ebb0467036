"""Peak memory of self-attention at 64x64 in a 128x128 SAGAN: ours against the explicit softmax form.

    python benchmarks/attention_memory.py [--batch 4] [--width 32] [--attention 64]

First the attention layer alone, as it stands in that network, forward and backward; then a whole training step (an
update of the discriminator and one of the generator). Each figure is from a fresh process: the growth of the resident
set's peak over what was there before the step (on CUDA the allocator's peak), after a tiny step that loads all code.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable

import torch

from ganforge.config import SAGANConfig
from ganforge.networks import attention, build_discriminator, build_generator
from ganforge.networks.spectral import initialise

FORMS = ("ours", "explicit")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    if options.child:
        print(json.dumps(measure(options, *options.child)))
        return
    for what in ("layer", "network"):
        megabytes = {form: child(what, form) for form in FORMS}
        print(
            f"{what:8} attention at {options.attention}x{options.attention}, batch {options.batch}: "
            f"ours {megabytes['ours']:.0f} MB, explicit {megabytes['explicit']:.0f} MB, "
            f"ratio {megabytes['explicit'] / megabytes['ours']:.2f}"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width", type=int, default=32, help="maps at 128x128; the paper has 64")
    parser.add_argument("--attention", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def child(what: str, form: str) -> float:
    command = [sys.executable, *sys.argv, "--child", what, form]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(options: argparse.Namespace, what: str, form: str) -> float:
    """Megabytes that one step needs beyond what was held before it."""
    if form == "explicit":
        attention.attend = attention.explicit_attention
    make = layer_step if what == "layer" else network_step
    make(16, 8, 4, 1)()
    step = make(128, options.attention, options.width, options.batch)
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def network(resolution: int, place: int, width: int) -> SAGANConfig:
    return SAGANConfig(resolution=resolution, width_g=width, width_d=width, attention_g=(place,), attention_d=(place,))


def layer_step(resolution: int, place: int, width: int, batch: int) -> Callable[[], object]:
    channels = dict(network(resolution, place, width).generator_plan())[place]
    layer = attention.SelfAttention(channels, spectral=True).to(DEVICE)
    initialise(layer, "xavier")
    maps = torch.randn(batch, channels, place, place, device=DEVICE, requires_grad=True)
    return lambda: torch.autograd.grad(layer(maps).square().sum(), [maps, *layer.parameters()])


def network_step(resolution: int, place: int, width: int, batch: int) -> Callable[[], object]:
    config = network(resolution, place, width)
    generator, discriminator = build_generator(config).to(DEVICE), build_discriminator(config).to(DEVICE)
    latents = torch.randn(batch, config.latent, device=DEVICE)
    reals = torch.rand(batch, 3, resolution, resolution, device=DEVICE) * 2 - 1

    def step() -> None:
        with torch.no_grad():
            fakes = generator(latents)
        loss = discriminator(fakes).score.mean() - discriminator(reals).score.mean()
        torch.autograd.grad(loss, list(discriminator.parameters()))
        torch.autograd.grad(-discriminator(generator(latents)).score.mean(), list(generator.parameters()))

    return step


if __name__ == "__main__":
    main()
