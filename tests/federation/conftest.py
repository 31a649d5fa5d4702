from __future__ import annotations

import pytest

from tests.federation.small_sites import PEOPLE, Made, make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Three sites, for tests that only read them."""
    folder = tmp_path_factory.mktemp("sites")
    return {name: make(folder, name) for name in PEOPLE}
