"""Kinship, heterozygosity and missingness of people, number by number as PLINK 2 prints them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from tests.cohort.genotype_files import write_plink
from tests.peers.plink import digits, needs_plink2, plink2, table, units_apart

pytestmark = [pytest.mark.plink2, pytest.mark.slow, needs_plink2]


def fileset(peer) -> list:
    vcf = peer.source.suffix == ".gz"
    return ["--vcf", peer.source] if vcf else ["--bfile", peer.source.with_suffix("")]


def assert_printed(ours: np.ndarray, printed: pd.Series) -> int:
    """Equal to six digits, ties apart: PLINK rounds 0.5 up where the binary number is below it."""
    texts = digits(ours)
    differ = np.flatnonzero(texts != printed.to_numpy())
    for place in differ:
        assert units_apart(texts[place], printed.iloc[place]) < 1.5
        # What follows the sixth digit is a half, to the precision of a float.
        exponent = np.floor(np.log10(abs(ours[place])))
        tail = abs(ours[place]) / 10.0 ** (exponent - 5) % 1
        assert abs(tail - 0.5) < 1e-9
    return differ.size


def kin0(path: Path, sample_id: np.ndarray) -> pd.DataFrame:
    """PLINK's table of all pairs, by the places of the two people."""
    found = table(path).rename(columns=lambda name: name.removeprefix("#"))
    place = pd.Index(sample_id.astype(str))
    one, other = place.get_indexer(found["IID1"]), place.get_indexer(found["IID2"])
    found["i"], found["j"] = np.minimum(one, other), np.maximum(one, other)
    return found.sort_values(["i", "j"], ignore_index=True)


def test_kinship_of_every_pair(peer, shown):
    prefix = plink2(
        *fileset(peer), "--make-king-table", "--king-table-filter", "-1e9", out=peer.folder / "king"
    )
    printed = kin0(prefix.with_suffix(".kin0"), peer.cohort.samples.index.to_numpy())
    relatives = peer.cohort._site.relatives(-np.inf)
    pairs = pd.MultiIndex.from_arrays([relatives.first, relatives.second])
    known = pd.MultiIndex.from_frame(printed[["i", "j"]])
    # PLINK prints pairs that tell nothing as nan or -inf; here they are not listed.
    rest = printed[~known.isin(pairs)]
    assert rest["KINSHIP"].isin(["nan", "-nan", "-inf"]).all()
    printed = printed[known.isin(pairs)].reset_index(drop=True)
    assert len(printed) == len(pairs)
    ties = assert_printed(relatives.kinship, printed["KINSHIP"])
    # Of a rare variant that both lack, PLINK 2.00a3.5 may count a call: it subtracts one too few.
    beyond = printed["NSNP"].astype(int).to_numpy() - relatives.observed
    assert beyond.min() >= 0
    if not (peer.dosage < 0).any():
        assert not beyond.any()
    same = beyond == 0
    shares = (("HETHET", relatives.het_het), ("IBS0", relatives.ibs0))
    for name, counted in shares:
        assert_printed((counted / relatives.observed)[same], printed[name][same])
    shown(
        f"kinship, {peer.name}",
        pairs=len(printed),
        different=ties,
        rows_counted_otherwise=int((~same).sum()),
    )


def with_relatives(peer, folder: Path, missing: float) -> tuple[Path, np.ndarray]:
    """The people of a data set, and children, sibs, half sibs and duplicates of them."""
    rng = np.random.default_rng(5)
    dosage = np.maximum(peer.dosage, 0)

    def gamete(person: int) -> np.ndarray:
        calls = dosage[:, person]
        return np.where(calls == 1, rng.random(len(calls)) < 0.5, calls == 2).astype(np.int8)

    more = []
    for family in range(12):
        father, mother, other = 3 * family, 3 * family + 1, 3 * family + 2
        more += [gamete(father) + gamete(mother) for _ in range(int(rng.integers(1, 5)))]
        more.append(gamete(father) + gamete(other))
    more += [dosage[:, one].copy() for one in (3, 100, 101, 101, 200)]
    people = dosage.shape[1] + len(more)
    order = rng.permutation(people)
    genotypes = np.concatenate([dosage, np.array(more).T], axis=1)[:, order]
    genotypes[rng.random(genotypes.shape) < missing] = -1
    ids = np.array([f"P{one:04d}" for one in order])
    rows = peer.cohort.rows
    named = list(zip(rows.contig, rows.id, rows.position, rows.alt, rows.ref, strict=True))
    return write_plink(folder / "relatives", [("0", one, 0) for one in ids], named, genotypes), ids


@pytest.mark.parametrize("missing", [0.0, 0.02])
@pytest.mark.parametrize("cutoff", [0.0442, 0.0884, 0.177])
def test_the_same_unrelated_people_are_kept(kg_eur, tmp_path, missing, cutoff, shown):
    bed, ids = with_relatives(kg_eur, tmp_path, missing)
    ge.import_genotypes(bed, tmp_path / "relatives.vcz")
    cohort = ge.open_cohort(tmp_path / "relatives.vcz")
    prefix = plink2("--bfile", bed.with_suffix(""), "--king-cutoff", cutoff, out=tmp_path / "cut")
    kept = table(prefix.with_suffix(".king.cutoff.in.id")).iloc[:, -1]
    narrowed = cohort.unrelated(cutoff)
    assert narrowed.samples.index.tolist() == kept.tolist()
    found = cohort.kinship()
    assert found["sample_id"].values[found.unrelated(cutoff)].tolist() == kept.tolist()
    shown(f"unrelated at {cutoff}, {missing:.0%} missing", people=len(ids), kept=len(kept))


def test_heterozygosity_and_missing_calls_of_people(peer, shown):
    prefix = plink2(*fileset(peer), "--het", "--missing", out=peer.folder / "people")
    found = peer.cohort.qc()
    het = table(prefix.with_suffix(".het"))
    assert het.iloc[:, -5].tolist() == found["sample_id"].values.tolist()
    integers = {"O(HOM)": "n_hom", "OBS_CT": "n_polymorphic_called"}
    for name, ours in integers.items():
        np.testing.assert_array_equal(het[name].astype(int), found[f"sample_{ours}"], err_msg=name)
    ties = assert_printed(found["sample_expected_hom"].values, het["E(HOM)"])
    ties += assert_printed(found["sample_inbreeding_coefficient"].values, het["F"])
    missing = table(prefix.with_suffix(".smiss"))
    rows = missing["OBS_CT"].astype(int).to_numpy()
    np.testing.assert_array_equal(
        missing["MISSING_CT"].astype(int), rows - found["sample_n_called"].values
    )
    shown(f"people, {peer.name}", people=len(het), different=ties)


def test_changes_and_singletons_of_people(peer):
    """PLINK's singletons are all alleles that one person has, two copies included."""
    prefix = plink2(*fileset(peer), "--sample-counts", out=peer.folder / "changes")
    found, counts = peer.cohort.qc(), table(prefix.with_suffix(".scount"))
    for name, ours in (("TRANSITION", "n_transitions"), ("TRANSVERSION", "n_transversions")):
        np.testing.assert_array_equal(
            counts[f"DIPLOID_{name}_CT"].astype(int), found[f"sample_{ours}"], err_msg=name
        )
    alone = ((peer.dosage > 0).sum(axis=1) == 1)[:, np.newaxis] & (peer.dosage == 2)
    np.testing.assert_array_equal(
        counts["DIPLOID_SINGLETON_CT"].astype(int) - alone.sum(axis=0), found["sample_n_singletons"]
    )
