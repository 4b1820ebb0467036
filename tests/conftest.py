"""What every test shares: one thread (several times faster on two cores), and no GPU test without a GPU."""

import signal

import pytest
import torch

torch.set_num_threads(1)
# A shell starts background jobs with SIGINT ignored, nohup with SIGHUP, and children inherit that; the tests of
# Ctrl-C and of a closed terminal need them heard.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
