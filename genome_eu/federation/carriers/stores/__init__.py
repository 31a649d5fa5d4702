"""Where messages lie: a folder, an SFTP server, or anything that fsspec knows, S3 first."""

from genome_eu.federation.carriers.stores.location import open_store
from genome_eu.federation.carriers.stores.store import Entry, Store

__all__ = ["Entry", "Store", "open_store"]
