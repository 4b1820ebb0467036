"""Self-attention over feature maps (Zhang et al. 2019, arXiv 1805.08318, section 3)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.networks.spectral import conv2d


class SelfAttention(nn.Module):
    """x + gamma * o(softmax(f(x)^T g(x)) h(x)): every place of a map looks at all others; gamma starts at 0.

    Queries f and keys g have C / 8 channels, values h C / 2; keys and values are max-pooled 2x2, as in the paper's
    code (an odd last row or column is left out). No biases, no scale. Maps (N, C, H, W) to the same shape.
    """

    def __init__(self, channels: int, *, spectral: bool) -> None:
        super().__init__()
        inner, values = max(channels // 8, 1), max(channels // 2, 1)
        self.query = conv2d(channels, inner, 1, spectral=spectral, bias=False)
        self.key = conv2d(channels, inner, 1, spectral=spectral, bias=False)
        self.value = conv2d(channels, values, 1, spectral=spectral, bias=False)
        self.out = conv2d(values, channels, 1, spectral=spectral, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (N, HW, C/8), keys (N, HW/4, C/8) and values (N, HW/4, C/2)."""
        pool = _pool(x)
        query, key, value = self.query(x), F.max_pool2d(self.key(x), pool), F.max_pool2d(self.value(x), pool)
        rows = [tensor.flatten(2).transpose(1, 2) for tensor in (query, key, value)]
        return rows[0], rows[1], rows[2]

    def forward(self, x: Tensor) -> Tensor:
        seen = attend(*self.project(x))
        result: Tensor = x + self.gamma * self.out(seen.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:]))
        return result

    def maps(self, x: Tensor) -> Tensor:
        """Where each place looks: (N, HW, h, w), each query's map sums to 1; h x w is the pooled grid of the keys."""
        query, key, _ = self.project(x)
        weights = torch.softmax(query @ key.transpose(1, 2), dim=-1)
        return weights.reshape(*weights.shape[:2], x.shape[2] // _pool(x), x.shape[3] // _pool(x))


def _pool(x: Tensor) -> int:
    return 2 if min(x.shape[2:]) > 1 else 1


def explicit_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q K^T) V as it is written, with the whole (N, queries, keys) matrix in memory."""
    return torch.softmax(query @ key.transpose(1, 2), dim=-1) @ value


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q K^T) V for (N, queries, d), (N, keys, d), (N, keys, e) to (N, queries, e), differentiable any times.

    Forward and first derivative by `scaled_dot_product_attention`, whose memory grows with queries plus keys and not
    with their product; its kernels have no second derivative, so a derivative that will itself be derived (gradient
    penalties) is computed from the explicit form.
    """
    if torch.compiler.is_compiling():
        return explicit_attention(query, key, value)
    result: Tensor = _Attend.apply(query, key, value)
    return result


def _efficient(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """SDPA of one head in the form that its lean kernels ask for, else it falls back to the explicit one.

    They want one head size, so the shorter rows get zeros, and numbers of a row that lie side by side.
    """
    more = value.shape[2] - query.shape[2]
    if more > 0:
        query, key = F.pad(query, (0, more)), F.pad(key, (0, more))
    elif more < 0:
        value = F.pad(value, (0, -more))
    query, key, value = (rows[:, None].contiguous() for rows in (query, key, value))
    out = F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0]
    return out[..., : out.shape[2] + more] if more < 0 else out


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, value)
        if not any(ctx.needs_input_grad):
            return _efficient(query, key, value)
        # SDPA's own graph is kept for the usual backward pass: nothing is computed twice.
        with torch.enable_grad():
            ctx.inner = [tensor.detach().requires_grad_() for tensor in (query, key, value)]
            ctx.out = _efficient(*ctx.inner)
        return ctx.out.detach()  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        if not torch.is_grad_enabled():
            return torch.autograd.grad(ctx.out, ctx.inner, gradient, retain_graph=True)
        query, key, value = ctx.saved_tensors
        weights = torch.softmax(query @ key.transpose(1, 2), dim=-1)
        toward = gradient @ value.transpose(1, 2)
        scores = weights * (toward - (weights * toward).sum(dim=-1, keepdim=True))
        return scores @ key, scores.transpose(1, 2) @ query, weights.transpose(1, 2) @ gradient
