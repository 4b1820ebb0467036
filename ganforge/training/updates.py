"""One update of one network: (loss, gradients) over a batch's micro-batches, then Adam.

An update changes weights only when all of its gradients are there. So when memory runs out half-way the micro-batch is
halved and the same update is computed again: no step is lost or repeated.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.errors import TrainingError
from ganforge.networks import Verdict
from ganforge.objectives import augment, drift, find_loss, gradient_penalty, input_gradients
from ganforge.training.randomness import generator_for, seed_for
from ganforge.training.state import TrainState
from ganforge.training.world import World

Metrics = dict[str, Tensor]
MicroLoss = Callable[[slice], tuple[Tensor, Metrics]]


@dataclass
class Batch:
    """What an update of the discriminator is made from: real pictures in [-1, 1] (N, C, H, W) and their labels (N,)."""

    images: Tensor
    labels: Tensor | None


@dataclass(frozen=True)
class Draws:
    """An update's random numbers: a function of (seed, salt, step, what the update is)."""

    state: TrainState
    purpose: str

    def generator(self, *what: int | str) -> torch.Generator:
        state = self.state
        return generator_for(state.config.seed, state.salt, state.step, self.purpose, *what)

    def latents(self, batch: int) -> tuple[Tensor, Tensor | None]:
        """Latents (N, latent) from N(0, 1) and, where there are classes, labels (N,) in the real pictures' shares.

        Were they drawn evenly from uneven classes, D could tell reals from fakes by the label alone. With packing the
        pictures of one pack share a label.
        """
        network, generator = self.state.config.network, self.generator("latents")
        latents = torch.randn(batch, network.latent, generator=generator)
        labels = None
        if network.classes:
            counts = self.state.config.data.class_counts or (1,) * network.classes
            shares = torch.tensor(counts, dtype=torch.float64)
            packs = torch.multinomial(shares, batch // network.pack, replacement=True, generator=generator)
            labels = packs.repeat_interleave(network.pack).to(self.state.device, non_blocking=True)
        return latents.to(self.state.device, non_blocking=True), labels

    def reseed(self, share: slice) -> None:
        """Seed torch's own generator, which dropout draws from."""
        state = self.state
        torch.manual_seed(seed_for(state.config.seed, state.salt, state.step, self.purpose, "layers", share.start))


def autocast(state: TrainState) -> AbstractContextManager[object]:
    if state.config.precision == "bf16":
        return torch.autocast(state.device.type, dtype=torch.bfloat16)
    return nullcontext()


Gradients = list[Tensor | None]
BOTH = ("real", "fake")


def update_discriminator(
    state: TrainState, batch: Batch, index: int, world: World, parts: tuple[str, ...] = BOTH
) -> Metrics:
    """One Adam step of the discriminator on real and fake pictures (or on one part of them, article A).

    `index` tells apart the updates of one step.
    """
    size = len(batch.images)
    gradients, metrics = _recovering(
        state, world.share_of(size), lambda: discriminator_gradients(state, batch, index, world, parts)
    )
    _apply(state.discriminator, state.optimizer_d, gradients, metrics, "gradient/d", world)
    if "real" in parts:
        _adapt_augmentation(state, metrics.pop("sign/real"), size)
    return metrics


def update_generator(state: TrainState, size: int, world: World) -> Metrics:
    """One Adam step of the generator on `size` fresh latents."""
    gradients, metrics = _recovering(state, world.share_of(size), lambda: generator_gradients(state, size, world))
    _apply(state.generator, state.optimizer_g, gradients, metrics, "gradient/g", world)
    return metrics


def discriminator_gradients(
    state: TrainState, batch: Batch, index: int, world: World, parts: tuple[str, ...] = BOTH, *, always: bool = False
) -> tuple[Gradients, Metrics]:
    """This rank's share of the gradients of the discriminator's mean loss, and of its metrics.

    `always` computes the gradient penalties whether or not this step is one of theirs.
    """
    config, draws = state.config, Draws(state, f"discriminator {index} {'+'.join(parts)}")
    loss_of, objective = find_loss(config.objective.loss), config.objective
    size = len(batch.images)
    latents, fake_labels = draws.latents(size)
    mix = torch.rand(size, generator=draws.generator("mix")).to(state.device)
    penalise = "real" in parts and (always or state.step % objective.every == 0)

    def micro(share: slice) -> tuple[Tensor, Metrics]:
        draws.reseed(share)
        loss = torch.zeros((), device=state.device)
        metrics: Metrics = {}
        labels = None if batch.labels is None else batch.labels[share]
        judge = _judge(state, labels, draws.generator("augment real"), share, size)
        reals = batch.images[share]
        fakes = reals
        if "fake" in parts or (penalise and (objective.gradient or objective.r2)):
            fakes, fake_labels_here = _fakes(state, latents, fake_labels, share)
            judge_fakes = _judge(state, fake_labels_here, draws.generator("augment fake"), share, size)
        if "real" in parts:
            verdict = judge(reals)
            loss = loss + loss_of.real(verdict.score)
            metrics |= {
                "score/real": verdict.score.mean(),
                "accuracy/real": (verdict.score > 0).float().mean(),
                "sign/real": verdict.score.sign().mean(),
            }
            if objective.drift:
                metrics["penalty/drift"] = objective.drift * drift(verdict.score)
                loss = loss + metrics["penalty/drift"]
            loss = loss + _class_loss(state, verdict, labels, metrics, "loss/class-real")
        if "fake" in parts:
            verdict = judge_fakes(fakes)
            loss = loss + loss_of.fake(verdict.score)
            metrics |= {
                "score/fake": verdict.score.mean(),
                "accuracy/fake": (verdict.score < 0).float().mean(),
            }
            loss = loss + _class_loss(state, verdict, fake_labels_here, metrics, "loss/class-fake")
        metrics["loss/d"] = loss
        if penalise:
            loss = loss + _penalties(
                state, judge, judge_fakes if objective.r2 else judge, reals, fakes, mix[share], metrics
            )
        return loss, metrics

    return _accumulate(state, state.discriminator, size, micro, world)


def generator_gradients(state: TrainState, size: int, world: World) -> tuple[Gradients, Metrics]:
    """This rank's share of the gradients of the generator's mean loss, and of its metrics."""
    draws, loss_of = Draws(state, "generator"), find_loss(state.config.objective.loss)
    latents, labels = draws.latents(size)

    def micro(share: slice) -> tuple[Tensor, Metrics]:
        draws.reseed(share)
        here = None if labels is None else labels[share]
        with autocast(state):
            fakes = state.generator(latents[share], here)
        verdict = _judge(state, here, draws.generator("augment"), share, size)(fakes.float())
        metrics: Metrics = {"loss/g": loss_of.generator(verdict.score)}
        return metrics["loss/g"] + _class_loss(state, verdict, here, metrics, "loss/class-g"), metrics

    return _accumulate(state, state.generator, size, micro, world)


def _fakes(state: TrainState, latents: Tensor, labels: Tensor | None, share: slice) -> tuple[Tensor, Tensor | None]:
    here = None if labels is None else labels[share]
    with torch.no_grad(), autocast(state):
        return state.generator(latents[share], here).float(), here


def _judge(
    state: TrainState, labels: Tensor | None, generator: torch.Generator, share: slice, size: int
) -> Callable[[Tensor], Verdict]:
    """The discriminator as a function of pictures, behind the augmentation, its output in float32."""
    policy = state.config.augment.policy

    def judge(images: Tensor) -> Verdict:
        if policy:
            images = augment(images, policy, state.augment_p, generator, share, size)
        with autocast(state):
            score, logits = state.discriminator(images, labels)
        return Verdict(score.float(), None if logits is None else logits.float())

    return judge


def _class_loss(state: TrainState, verdict: Verdict, labels: Tensor | None, metrics: Metrics, name: str) -> Tensor:
    """Cross-entropy of an AC-GAN's class logits (Odena et al. 2017), weighted; 0 for every other network."""
    if verdict.logits is None or labels is None:
        return verdict.score.new_zeros(())
    metrics[name] = F.cross_entropy(verdict.logits, labels[:: state.config.network.pack])
    return state.config.objective.acgan * metrics[name]


def _penalties(
    state: TrainState,
    judge: Callable[[Tensor], Verdict],
    judge_fakes: Callable[[Tensor], Verdict],
    reals: Tensor,
    fakes: Tensor,
    mix: Tensor,
    metrics: Metrics,
) -> Tensor:
    """The gradient penalties that the objective asks for, times its `every`."""
    objective, total = state.config.objective, torch.zeros((), device=state.device)
    if objective.gradient:
        penalty = gradient_penalty(
            lambda x: judge(x).score,
            reals,
            fakes,
            mix,
            target=objective.gradient_target,
            epsilon=objective.gradient_epsilon,
        )
        metrics["penalty/gradient"] = objective.gradient * penalty
        total = total + metrics["penalty/gradient"]
    for name, weight, judged, images in (
        ("penalty/r1", objective.r1, judge, reals),
        ("penalty/r2", objective.r2, judge_fakes, fakes),
    ):
        if weight:
            metrics[name] = weight / 2 * input_gradients(lambda x, judged=judged: judged(x).score, images)[1].mean()  # type: ignore[misc]
            total = total + metrics[name]
    return total * objective.every


def _recovering(
    state: TrainState, size: int, compute: Callable[[], tuple[Gradients, Metrics]]
) -> tuple[Gradients, Metrics]:
    """Compute gradients; where memory runs out, once more with half the micro-batch."""
    while True:
        try:
            return compute()
        except torch.OutOfMemoryError:
            _shrink(state, size)


def _learning(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _apply(
    network: nn.Module, optimizer: torch.optim.Adam, gradients: Gradients, metrics: Metrics, norm: str, world: World
) -> None:
    """Sum gradients and metrics over the ranks, then one step of Adam. The gradient's norm is the metric `norm`."""
    names, there = sorted(metrics), [gradient for gradient in gradients if gradient is not None]
    world.sum(there + [metrics[name] for name in names])
    metrics[norm] = torch.stack(torch._foreach_norm(there)).norm()
    for parameter, gradient in zip(_learning(network), gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _accumulate(
    state: TrainState, network: nn.Module, size: int, micro: MicroLoss, world: World
) -> tuple[Gradients, Metrics]:
    """Gradients of the mean loss over this rank's share of a batch, summed over its micro-batches."""
    parameters = _learning(network)
    totals: list[Tensor | None] = [None] * len(parameters)
    metrics: Metrics = {}
    for share in _shares(state, size, world):
        weight = (share.stop - share.start) / size
        loss, figures = micro(share)
        gradients = torch.autograd.grad(loss * weight if weight != 1 else loss, parameters, allow_unused=True)
        for index, gradient in enumerate(gradients):
            if gradient is not None:
                total = totals[index]
                totals[index] = gradient if total is None else total.add_(gradient)
        for name, figure in figures.items():
            metrics[name] = metrics.get(name, torch.zeros((), device=state.device)) + figure.detach().float() * weight
    return totals, metrics


def _shares(state: TrainState, size: int, world: World) -> Iterator[slice]:
    """This rank's slices of a batch, along the borders of the discriminator's groups wherever there are enough."""
    tied, pack = state.discriminator.tied(size), state.config.network.pack
    whole = size // tied >= world.size and (not state.micro_batch or state.micro_batch >= tied)
    yield from world.shares(size, state.micro_batch, tied if whole else pack)


def _shrink(state: TrainState, size: int) -> None:
    """Out of memory: halve the micro-batch. Raises TrainingError when there is nothing left to halve."""
    now = state.micro_batch or size
    smallest = max(state.config.network.pack, 2)
    if now <= smallest:
        raise TrainingError(
            f"out of memory with a micro-batch of {now} at step {state.step}; "
            "train a smaller --max-res, narrower networks, or with --precision bf16"
        )
    state.micro_batch = max(now // 2, smallest)
    if state.device.type == "cuda":
        torch.cuda.empty_cache()


def _adapt_augmentation(state: TrainState, sign: Tensor, images: int) -> None:
    """Raise or lower the probability of augmentation so that the mean sign of D(real) comes to the target."""
    config = state.config.augment
    if config.policy and config.target is not None:
        step = (sign - config.target).sign() * (images / (config.ramp * 1000))
        state.augment_p = (state.augment_p + step).clamp(0, 1)
