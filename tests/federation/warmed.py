"""Imported by the process that parties are forked from, so that none of them has to."""

from __future__ import annotations

import distributed  # noqa: F401

import genome_eu.cli.site
import genome_eu.compute
import genome_eu.disclosure.rocrate
import genome_eu.federation.daemon.serve
import genome_eu.federation.opening
import genome_eu.formats.folder  # noqa: F401
