"""Killed before any change that it makes, or without room for it, a desk goes on from there."""

from __future__ import annotations

import errno
import shutil
from typing import Any

import pytest

from genome_eu.errors import BadInput
from genome_eu.federation.carriers.stores.folder import FolderStore
from tests.federation.at_a_desk import (
    ONCE,
    finish,
    here,
    plan,
)
from tests.federation.exchanges import (
    arrived,
    events,
)
from tests.federation.interruptions import ROOM, full_at, killed_at

__all__ = ["here", "plan"]


@pytest.mark.slow
def test_killed_before_any_change_it_goes_on_from_there(here, plan, tmp_path):
    here.ask(plan)
    whole = here.copied(tmp_path / "whole")
    with killed_at(10**9) as steps:
        whole.desk().attend()
    answer = finish(whole, ONCE, plan).path.read_bytes()
    assert steps.made > 15
    for step in range(steps.made):
        mine = here.copied(tmp_path / f"killed-{step}")
        with killed_at(step):
            mine.desk().attend()
        assert finish(mine, ONCE, plan).path.read_bytes() == answer, step
        shutil.rmtree(mine.folder)


@pytest.mark.slow
@pytest.mark.parametrize("disk", ["site", "exchange"])
def test_with_a_full_disk_it_waits_and_goes_on_when_there_is_room(here, plan, tmp_path, disk):
    calls = ROOM if disk == "site" else ((FolderStore, "write"),)
    here.ask(plan)
    for step in range(100):
        mine = here.copied(tmp_path / f"full-{step}")
        desk = mine.desk()
        said = []
        with full_at(step, calls):
            for _ in range(3):
                try:
                    desk.attend()
                except (BadInput, OSError) as error:
                    said.append(str(error))
        assert all("room" in one or "space" in one for one in said)
        assert not mine.files(plan, "ES", "refusal"), "that is nobody's fault who asks"
        desk.attend()
        assert events(desk) == ONCE
        finish(mine, ONCE, plan)
        if not said:
            break
    assert 1 <= step < 99


def test_however_often_a_disk_is_full_nobody_is_refused_for_it(here, plan, monkeypatch):
    """Only what kills the daemon counts as an attempt that was never finished."""
    here.ask(plan)
    desk = here.desk()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(desk.site, "judge", full)
        for _ in range(25):
            with pytest.raises(OSError, match="No space left"):
                desk.attend()
    assert desk.attend() == 1
    assert arrived(desk, plan, here.folder).manifest.kind == "answer"
