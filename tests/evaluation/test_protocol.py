from dataclasses import replace

from ganforge.evaluation.protocol import Protocol, differences, versions

BASE = Protocol(
    metric="fid",
    extractor="efficientnet-lite0",
    weights="5793",
    prepares="224",
    size="32x32x3",
    reals="datasets/a",
    reals_digest="d1",
    reals_count=1000,
    reals_resizing="none",
    split="training",
    generated="runs/0001/checkpoints/checkpoint-000000000100.pt",
    generated_count=1000,
    generated_resizing="none",
    seed=0,
    repeats=1,
    settings={"subsets": 100},
    generated_facts={"images shown": 100, "ema": True, "seeds": "0-999", "truncation": None},
    versions={"torch": "1"},
)


def test_another_checkpoint_is_alike() -> None:
    other = replace(
        BASE,
        generated="runs/0002/checkpoints/checkpoint-000000000900.pt",
        generated_facts={"images shown": 900, "ema": False, "seeds": "5-1004", "truncation": None},
        versions={"torch": "2"},
    )
    assert differences(BASE.as_dict(), other.as_dict()) == []
    assert BASE.digest == other.digest


def test_a_folder_of_another_tools_pictures_is_alike() -> None:
    other = replace(BASE, generated="their/pictures", generated_facts={})
    assert differences(BASE.as_dict(), other.as_dict()) == []


def test_whatever_bears_on_the_figure_is_named() -> None:
    for change in (
        {"metric": "kid"},
        {"extractor": "inception"},
        {"weights": "6726"},
        {"size": "64x64x3"},
        {"reals_digest": "d2"},
        {"reals_count": 999},
        {"split": "holdout"},
        {"generated_count": 500},
        {"generated_resizing": "centre crop"},
        {"seed": 1},
        {"settings": {"subsets": 50}},
        {"generated_facts": {"truncation": 0.7}},
    ):
        other = replace(BASE, **change)  # type: ignore[arg-type]
        [found] = differences(BASE.as_dict(), other.as_dict())
        assert found.startswith(next(iter(change)))
        assert other.digest != BASE.digest


def test_versions_name_what_bears_on_a_figure() -> None:
    assert {"python", "torch", "torchmetrics", "numpy", "pillow", "ganforge"} <= set(versions())
