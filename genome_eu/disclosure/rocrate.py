"""The ledger as a Five Safes RO-Crate in a BagIt bag, for auditors who use that profile.

No result is in the crate: an answer appears by the digest of its sealed bytes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from genome_eu._version import __version__
from genome_eu.disclosure.bag import write_tags
from genome_eu.disclosure.five_safes import WORKFLOW, FiveSafes
from genome_eu.disclosure.ledger import Ledger
from genome_eu.errors import UsageError
from genome_eu.stats.aggregate import AGGREGATES


def write_crate(ledger: Ledger, folder: Path, *, site: str, project: str) -> Path:
    """Write the whole ledger as a Five Safes RO-Crate in a BagIt bag.

    Parameters
    ----------
    ledger : Ledger
        Verified before anything is written.
    folder : path
        The bag; it must not exist. It appears whole or not at all.
    site, project : str
        Names of the site, and of the federation that asks.

    Returns
    -------
    path
        The folder.

    Raises
    ------
    LedgerError
        The ledger is not sound.
    UsageError
        The folder exists, the ledger holds no request, or `rocrate` is not installed.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists; give the crate a folder of its own")
    library = _rocrate()
    crate = FiveSafes(library, site, project)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        payload = unfinished / "data"
        payload.mkdir()
        lines = ledger.copy(payload / "ledger.jsonl")
        head = lines.verify()
        for entry in lines.entries():
            crate.tell(entry)
        _write_workflow(library, payload / WORKFLOW)
        crate.write(payload, head)
        write_tags(unfinished, uuid.uuid5(uuid.NAMESPACE_OID, f"ledger:{head.hash}"))
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder


def _rocrate() -> Any:
    """The library, which only this module needs."""
    try:
        import rocrate.model
        import rocrate.rocrate
    except ImportError:
        raise UsageError(
            "exporting a crate needs rocrate; install it with: pip install 'genome-eu[rocrate]'"
        ) from None
    return rocrate


def _write_workflow(library: Any, folder: Path) -> None:
    """What plans are executed by, as a Workflow RO-Crate: the statistics installed."""
    crate = library.rocrate.ROCrate(version="1.1")
    folder.mkdir()
    installed = {name: kind.version for name, kind in sorted(AGGREGATES.items())}
    content = {"software": f"genome_eu {__version__}", "statistics": installed}
    source = folder / "statistics.json"
    source.write_text(json.dumps(content, indent=2) + "\n")
    language = library.model.ComputerLanguage(
        crate, "#plan", properties={"name": "genome_eu plan", "alternateName": "plan"}
    )
    crate.add(language)
    crate.name = "Statistics of genome_eu"
    crate.add_workflow(source, source.name, main=True, lang=language)
    crate.write(folder)
