"""Which converted pictures are written, and where: duplicates set apart, the rest to training or to the holdout."""

from collections import Counter
from collections.abc import Sequence
from math import floor

from ganforge.data.batches import Batch
from ganforge.data.duplicates import Duplicates
from ganforge.data.ledger import Ledger
from ganforge.data.problems import Trait
from ganforge.data.sources import Entry, LeftOut
from ganforge.data.writing import DatasetWriter

Groups = dict[str, list[tuple[str, int | None]]]


class Holdout:
    """Chooses which pictures are held out: of each class the same share, evenly spaced in their order."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._met: Counter[int] = Counter()

    def takes(self, label: int) -> bool:
        """Whether the next picture of this class is held out."""
        before = floor(self._met[label] * self.share + 1e-9)
        self._met[label] += 1
        return floor(self._met[label] * self.share + 1e-9) > before


class Sorter:
    """Takes batches of converted pictures in their order, and has the pictures that are kept written.

    Attributes:
        groups: duplicates, as (name, differing bits or None), by the name of the picture that they are duplicates of.
        conflicts: duplicates with another label than that picture.
        labels: of all that are kept, 0 where there are none.
        only_grey: whether all that are kept have three equal channels.
    """

    def __init__(
        self, ledger: Ledger, dedupe: str, distance: int, holdout: float, writers: Sequence[DatasetWriter]
    ) -> None:
        self.ledger = ledger
        self.dedupe = dedupe
        self.writers = writers
        self.groups: Groups = {}
        self.conflicts = 0
        self.labels: list[int] = []
        self.only_grey = True
        self._holdout = Holdout(holdout)
        self._duplicates = Duplicates(distance)
        self._compared: list[int] = []

    def take(self, batch: Batch, entries: Sequence[Entry], labels: Sequence[int]) -> None:
        """The pictures that one task gave.

        Args:
            batch: what became of its entries.
            entries: those, in order.
            labels: of each, or empty.
        """
        self.ledger.leave_out(batch.left_out.values())
        rows: tuple[list[int], list[int]] = ([], [])  # of the batch, for training and for the holdout
        for row, place in enumerate(batch.kept):
            label = labels[place] if labels else 0
            if self._drops(batch, row, entries[place].name, label):
                continue
            self.only_grey = self.only_grey and Trait.GREY in batch.traits[row]
            self.ledger.notice(batch.traits[row], entries[place].name)
            self.labels.append(label)
            rows[self._holdout.takes(label)].append(row)
        for writer, own in zip(self.writers, rows, strict=False):
            if own:
                levels = batch.levels if len(own) == len(batch.kept) else [level[own] for level in batch.levels]
                writer.append(levels, [labels[batch.kept[row]] for row in own] if labels else [])

    def _drops(self, batch: Batch, row: int, name: str, label: int) -> bool:
        """Whether the picture is left out as a duplicate; it is noted in any case."""
        look = batch.impressions[row] if batch.impressions else None
        twin = self._duplicates.find(batch.prints[row], look)
        if twin is None:
            self._duplicates.keep(name, batch.prints[row], look)
            self._compared.append(label)
            return False
        self.groups.setdefault(twin.name, []).append((name, twin.distance))
        self.conflicts += self._compared[twin.number] != label
        same = twin.distance is None
        reason = "duplicate" if same else "near-duplicate"
        if self.dedupe == "near" or (self.dedupe == "exact" and same):
            detail = f"of {twin.name}" + ("" if same else f", {twin.distance} of 64 bits differ")
            self.ledger.leave_out([LeftOut(name, reason, detail)])
            return True
        self.ledger.noticed.add(reason, name)
        return False
