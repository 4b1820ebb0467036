"""Our figures beside those of torch-fidelity called directly, on two folders of real pictures and identical weights.

    python benchmarks/evaluate_reference.py FOLDER FOLDER [--n 200] [--weights FILE]

Without --weights the Inception network has random weights of seed 0: the arithmetic is the same.
"""

import argparse
import io
import warnings
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from ganforge.evaluation import extractors
from ganforge.evaluation.extractors import ExtractorKind, Inception, load_extractor
from ganforge.evaluation.pictures import FolderSource, PictureSource
from ganforge.evaluation.scores import Options, score

LAYERS = ["2048", "logits_unbiased"]


class Blank(FeatureExtractorInceptionV3):
    """The library's network with the weights that its constructor drew."""

    def load_state_dict(self, *_: object) -> None:
        pass


def library_network(weights: Path | None) -> FeatureExtractorInceptionV3:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if weights is not None:
            return FeatureExtractorInceptionV3("library", LAYERS, str(weights))
        empty = io.BytesIO()
        torch.save({}, empty)
        empty.seek(0)
        torch.manual_seed(0)
        network = Blank("library", LAYERS, empty)
    # The library's own draw shrinks pictures to nothing on the way; this keeps their scale, so that figures are large.
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    torch.nn.init.normal_(network.fc.weight, std=0.1)
    return network


@torch.no_grad()
def by_library(network: FeatureExtractorInceptionV3, source: PictureSource) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and logits of a folder, as the library makes them."""
    parts = [network(torch.from_numpy(batch).expand(-1, 3, -1, -1)) for batch in source]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def scipy_distance(a: np.ndarray, b: np.ndarray) -> float:
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(one @ other)
    difference = a.mean(0) - b.mean(0)
    return float(difference @ difference + np.trace(one) + np.trace(other) - 2 * np.trace(root).real)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generated", type=Path)
    parser.add_argument("reals", type=Path)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--weights", type=Path)
    args = parser.parse_args()
    reals = FolderSource(args.reals)
    generated = FolderSource(args.generated, reals.shape)
    reals._files, generated._files = reals._files[: args.n], generated._files[: args.n]
    reals.labels = generated.labels = None
    network = library_network(args.weights)
    extractors.EXTRACTORS["reference"] = ExtractorKind(
        "", lambda _, device: Inception(network.state_dict(), "reference", device)
    )
    metrics = ("fid", "kid", "is", "precision", "recall")
    found = score(generated, reals, metrics, Options(extractors=("reference",), reference=False))
    real, _ = by_library(network, reals)
    made, logits = by_library(network, generated)
    size = min(1000, len(real), len(made))
    # Our order of the pictures is a shuffle by the seed; the parts of the Inception Score and the subsets follow it.
    order = [np.random.default_rng(0).permutation(len(x)) for x in (real, made)]
    real, made, logits = real[order[0]], made[order[1]], logits[order[1]]
    fid = fid_statistics_to_metric(
        fid_features_to_statistics(made.double()), fid_features_to_statistics(real.double()), False
    )
    kid = kid_features_to_metric(made.double(), real.double(), kid_subset_size=size, verbose=False)
    isc = isc_features_to_metric(logits)
    prc = prc_features_to_metric(made.double(), real.double(), verbose=False)
    expected = {
        "fid": fid["frechet_inception_distance"],
        "kid": kid["kernel_inception_distance_mean"],
        "is": isc["inception_score_mean"],
        "precision": prc["precision"],
        "recall": prc["recall"],
    }
    print(f"{len(made)} of {args.generated} against {len(real)} of {args.reals}; inception, torch-fidelity 0.4")
    for name, value in expected.items():
        ours = found[f"{name}[reference]"].figure.value
        relative = abs(ours - value) / max(abs(value), 1e-12)
        print(f"{name:10s} ours {ours:.9g}  library {value:.9g}  difference {abs(ours - value):.2e} ({relative:.1e})")
    root = scipy_distance(real.double().numpy(), made.double().numpy())
    print(f"fid by scipy's matrix root {root:.9g}")
    lite = load_extractor("efficientnet-lite0", None, torch.device("cpu"))
    with torch.no_grad():
        values = [
            torch.cat([lite(torch.from_numpy(batch))[0] for batch in source]).double().numpy()
            for source in (reals, generated)
        ]
    ours = score(generated, reals, ("fid",), Options(reference=False))["fid[efficientnet-lite0]"].figure.value
    print(f"fid[efficientnet-lite0] ours {ours:.9g}  scipy's matrix root {scipy_distance(*values):.9g}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
