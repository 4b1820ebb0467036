"""Distances between two sets of features: Fréchet, kernel, and neighbourhoods; and the score of class logits."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.image.kid import poly_mmd

Array = NDArray[np.float32]

# What torch-fidelity takes, so that its figures and ours are the same to the digit.
SEED = 2020
KID_SUBSETS, KID_SUBSET = 100, 1000
IS_SPLITS = 10
# Kynkäänniemi et al. 2019, section 3.1; Naeem et al. 2020, section 4.
PRECISION_K, DENSITY_K = 3, 5
_BLOCK = 2**22


def frechet_distance(a: Array, b: Array) -> float:
    """Fréchet distance between the Gaussians of two sets of features (N, d), (M, d). Heusel et al. 2017, equation 6.

    |mean difference|^2 + tr(A) + tr(B) - 2 tr((A B)^(1/2)). With fewer pictures than features the last trace is the
    nuclear norm of X Y^T, X and Y the centred features over sqrt(n - 1): exact where a matrix root is not. Otherwise it
    is the sum of the roots of the eigenvalues of the symmetric R B R, R the root of A.
    """
    return _Gaussian(a).distance(b)


class _Gaussian:
    """One set's side of the distance, kept where it is compared with many."""

    def __init__(self, features: Array) -> None:
        self._mean, self._rows = features.mean(axis=0, dtype=np.float64), _centred(features)
        self._trace = self._rows.square().sum()
        self._root: torch.Tensor | None = None

    def distance(self, other: Array) -> float:
        """Fréchet distance to another set of features."""
        x, y = self._rows, _centred(other)
        difference = np.square(self._mean - other.mean(axis=0, dtype=np.float64)).sum()
        if min(len(x), len(y)) <= x.shape[1]:
            cross = torch.linalg.svdvals(x @ y.T).sum()
        else:
            self._root = _root(x.T @ x) if self._root is None else self._root
            cross = torch.linalg.eigvalsh(self._root @ (y.T @ y) @ self._root).clamp(min=0).sqrt().sum()
        return float(difference + self._trace + y.square().sum() - 2 * cross)


def _centred(features: Array) -> torch.Tensor:
    """A copy in double precision, changed in place: at 10,000 pictures each further one takes 100 MB."""
    rows = torch.from_numpy(np.array(features, np.float64))
    rows -= rows.mean(dim=0)
    rows *= max(len(rows) - 1, 1) ** -0.5
    return rows


def _root(matrix: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: torch.Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


def frechet_spread(a: Array, b: Array, seed: int, draws: int = 10) -> float:
    """Standard deviation of the Fréchet distance over bootstrap draws of `b`."""
    random = np.random.default_rng((seed, 7))
    gaussian = _Gaussian(a)
    values = [gaussian.distance(b[random.integers(0, len(b), len(b))]) for _ in range(draws)]
    return float(np.std(values, ddof=1))


def kernel_distance(a: Array, b: Array) -> tuple[float, float]:
    """KID: the unbiased squared MMD by the cubic kernel, its mean and deviation over random subsets.

    Bińkowski et al. 2018, section 4. 100 subsets of 1,000 pictures, or of all where there are fewer; torch-fidelity's
    very subsets, by torchmetrics' kernel.
    """
    size = min(KID_SUBSET, len(a), len(b))
    random = np.random.RandomState(SEED)
    values = []
    # Subsets of everything are all alike.
    for _ in range(1 if size == len(a) == len(b) else KID_SUBSETS):
        first = torch.from_numpy(b[random.choice(len(b), size, replace=False)])
        second = torch.from_numpy(a[random.choice(len(a), size, replace=False)])
        values.append(float(poly_mmd(first.double(), second.double())))
    return float(np.mean(values)), float(np.std(values))


def inception_score(logits: Array, splits: int = IS_SPLITS) -> tuple[float, float]:
    """exp of the mean divergence of class probabilities from their mean; mean and deviation over ten parts.

    Salimans et al. 2016, section 4, in the order that torch-fidelity shuffles to.
    """
    order = np.random.RandomState(SEED).permutation(len(logits))
    log_p = torch.log_softmax(torch.from_numpy(logits[order]).double(), dim=1)
    values = []
    for index in range(splits):
        rows = log_p[index * len(log_p) // splits : (index + 1) * len(log_p) // splits]
        if len(rows):
            p = rows.exp()
            values.append(float((p * (rows - p.mean(dim=0).log())).sum(dim=1).mean().exp()))
    return float(np.mean(values)), float(np.std(values))


@dataclass(frozen=True)
class Manifolds:
    """Shares of pictures in the neighbourhoods of the other set; density counts the neighbourhoods, and may pass 1."""

    precision: float
    recall: float
    density: float
    coverage: float
    reals: int
    generated: int


def manifolds(reals: Array, generated: Array, device: torch.device) -> Manifolds:
    """Improved precision and recall (k 3) and density and coverage (k 5), by blocks of rows: no N x N matrix is held.

    Kynkäänniemi et al. 2019, equations 1 to 3: in the ball, or on it. Naeem et al. 2020, equations 5 and 6: in it.
    """
    a, b = _rows(reals, device), _rows(generated, device)
    real_3, real_5 = _radii(a, (PRECISION_K, DENSITY_K))
    (generated_3,) = _radii(b, (PRECISION_K,))
    precise = torch.zeros(len(b), dtype=torch.bool, device=device)
    recalled, covered, dense = 0, 0, 0
    for start, distances in _blocks(a, b):
        rows = slice(start, start + len(distances))
        precise |= (distances <= real_3[rows, None]).any(dim=0)
        recalled += int((distances <= generated_3).any(dim=1).sum())
        inside = distances < real_5[rows, None]
        dense += int(inside.sum())
        covered += int(inside.any(dim=1).sum())
    return Manifolds(
        precision=float(precise.double().mean()),
        recall=recalled / len(a),
        density=dense / (DENSITY_K * len(b)),
        coverage=covered / len(a),
        reals=len(a),
        generated=len(b),
    )


def nearest(
    queries: Array, among: Array, device: torch.device, *, count: int = 1, self_excluded: bool = False
) -> tuple[Array, NDArray[np.int64]]:
    """Distances (N, count) to, and indices (N, count) of, the nearest rows of `among` for each query, nearest first.

    With `self_excluded` the two are the same set, and row i is not its own neighbour.
    """
    a, b = _rows(queries, device), _rows(among, device)
    distances, indices = [], []
    for start, block in _blocks(a, b):
        if self_excluded:
            rows = torch.arange(len(block), device=device)
            block[rows, rows + start] = torch.inf
        least = block.topk(min(count, len(b)), dim=1, largest=False, sorted=True)
        distances.append(least.values.sqrt().cpu())
        indices.append(least.indices.cpu())
    return torch.cat(distances).float().numpy(), torch.cat(indices).numpy()


def _rows(features: Array, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.asarray(features, np.float32)).to(device)


def _blocks(a: torch.Tensor, b: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Squared distances in double precision, some rows of `a` at a time to all of `b`: the first row, and (n, M)."""
    squares = b.double().square().sum(dim=1)
    step = max(1, _BLOCK // len(b))
    for start in range(0, len(a), step):
        rows = a[start : start + step].double()
        block = rows.square().sum(dim=1, keepdim=True) + squares
        for column in range(0, len(b), 8192):
            part = b[column : column + 8192].double()
            block[:, column : column + 8192].addmm_(rows, part.T, alpha=-2)
        yield start, block.clamp_(min=0)


def _radii(a: torch.Tensor, ks: tuple[int, ...]) -> list[torch.Tensor]:
    """Squared distance of each row to its k-th neighbour, itself not counted, for each k."""
    out: list[list[torch.Tensor]] = [[] for _ in ks]
    for start, block in _blocks(a, a):
        rows = torch.arange(len(block), device=a.device)
        block[rows, rows + start] = 0.0
        least = block.topk(min(max(ks) + 1, len(a)), dim=1, largest=False, sorted=True).values
        for values, k in zip(out, ks, strict=True):
            values.append(least[:, min(k, least.shape[1] - 1)])
    return [torch.cat(values) for values in out]
