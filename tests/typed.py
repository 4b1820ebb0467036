"""Commands as a user types them, in this process."""

import pytest

from ganforge.cli import main


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run `ganforge` with these words; returns the exit code."""
    monkeypatch.setattr("sys.argv", ["ganforge", *words])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
