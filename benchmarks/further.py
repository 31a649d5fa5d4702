"""Jobs beyond frequencies, regressions and components: every other question that has a peer."""

from __future__ import annotations

from functools import partial

from benchmarks import agreement, derived, inputs, ours, plink
from benchmarks.data import COMPONENTS, Model
from benchmarks.job import COMPLETE, ENGINE, MISSING, PEERS, Contender, Job, own, plink_2

_COVARIATES = 12
_DROP, _MEAN = Model(1, _COVARIATES, "drop"), Model(1, _COVARIATES)
_LINEAR = ours.gwas_question(_MEAN)

_BY = Job(
    "counts-by",
    "Genotype counts of 12 populations",
    MISSING,
    own(ours.frequency_question("population", hwe=False), ours.group_frequencies),
    (
        plink_2(
            plink.asks(plink.of_populations, "--loop-cats", "population", "--geno-counts"),
            plink.group_frequencies,
            agreement.same_numbers,
        ),
    ),
    ENGINE,
    needs=(inputs.populations,),
)
_FST = Job(
    "fst",
    "Hudson's F_ST of 66 pairs of populations",
    MISSING,
    own(
        ours.Question(
            "freq", {"by": "population", "fst": True, "hwe": False, "formats": "parquet"}
        ),
        ours.fst,
    ),
    (
        plink_2(
            plink.asks(plink.of_populations, "--fst", "population", "method=hudson"),
            plink.fst,
            agreement.same_numbers,
        ),
    ),
    ENGINE,
    needs=(inputs.populations,),
)
_QC = Job(
    "qc",
    "Quality of people and variants",
    MISSING,
    own(ours.Question("qc"), ours.quality),
    (
        plink_2(
            plink.asks("--missing", "--het", "--sample-counts", "--freq", "--hardy"),
            plink.quality,
            agreement.same_numbers,
        ),
    ),
    ENGINE,
)
_SCORE = Job(
    "score",
    "Polygenic score of all variants",
    MISSING,
    own(ours.Question("score", {"weights": inputs.weights}), ours.scores),
    (
        plink_2(
            plink.asks(
                "--score",
                inputs.weights,
                "header-read",
                "cols=nallele,denom,dosagesum,scoreavgs,scoresums",
            ),
            plink.scores,
            agreement.same_numbers,
        ),
    ),
    ENGINE,
    needs=(inputs.weights,),
)
_PROJECT = Job(
    "project",
    f"Projection on {COMPONENTS} components",
    COMPLETE,
    own(ours.Question("project", {"pca": inputs.reference}), ours.projected),
    (plink_2(plink.asks(plink.projection), plink.projected, agreement.same_scores),),
    ENGINE,
    needs=(inputs.reference,),
)
_CLUMP = Job(
    "clump",
    "Clumps of a GWAS",
    COMPLETE,
    own(
        ours.Question(
            "clump", {"gwas": inputs.association, "p1": plink.CLUMP_P1, "p2": plink.CLUMP_P2}
        ),
        ours.clumps,
    ),
    (
        Contender(
            "PLINK 1.9", plink.asks_1(plink.clumping), plink.clumps, agrees=agreement.same_numbers
        ),
    ),
    ENGINE,
    needs=(inputs.association,),
)
_LINKED_CLUMP = Job(
    "clump-linked",
    "Clumps of a GWAS, rows in LD",
    COMPLETE,
    own(
        ours.Question(
            "clump",
            {
                "gwas": inputs.linked_association,
                "p1": plink.CLUMP_P1,
                "p2": plink.CLUMP_P2,
            },
            lambda data: derived.linked(data).cohort,
        ),
        ours.clumped_rows,
    ),
    (
        Contender(
            "PLINK 1.9",
            plink.asks_1(plink.linked_clumping),
            plink.clumped_rows,
            agrees=agreement.near_clumps,
        ),
    ),
    ENGINE,
    needs=(inputs.linked_association,),
)
_META = Job(
    "meta",
    f"Meta-analysis of {inputs.STUDIES} studies of {inputs.STUDY_VARIANTS} times the variants",
    COMPLETE,
    own(ours.Question("meta", target=inputs.studies), ours.combined),
    (
        Contender(
            "PLINK 1.9",
            plink.asks_1(plink.meta_analysis),
            plink.combined,
            agrees=agreement.same_combined,
        ),
    ),
    ENGINE,
    needs=(inputs.studies,),
)

_IMPORT_BGEN = Job(
    "import-bgen",
    "Import of a .bgen",
    COMPLETE,
    Contender(
        "genome_eu",
        partial(ours.import_command, source=inputs.imputed_bgen),
        ours.imported_dosages,
        partial(ours.import_call, source=inputs.imputed_bgen),
    ),
    (
        plink_2(
            plink.asks("--make-pgen", source=plink.imputed_bgen),
            plink.imported_dosages,
            agreement.same_numbers,
            "--make-pgen",
        ),
    ),
    PEERS,
    needs=(inputs.imputed_bgen,),
)
_DOSAGES = Job(
    "dosages",
    "Frequencies and imputation r² of dosages",
    COMPLETE,
    own(ours.Question("dosages", {"formats": "parquet"}, inputs.imputed_cohort), ours.dosages),
    (
        plink_2(
            plink.asks("--freq", "cols=+machr2", source=plink.imputed_pgen),
            plink.dosages,
            agreement.same_numbers,
        ),
    ),
    PEERS,
    needs=(inputs.imputed_cohort, inputs.imputed_pgen),
)
_GWAS_DOSAGES = Job(
    "gwas-dosages-12x1",
    f"GWAS of dosages, 1 trait, {_COVARIATES} covariates",
    COMPLETE,
    own(
        ours.gwas_question(_DROP, dosages=True, target=inputs.imputed_cohort),
        ours.gwas,
    ),
    (
        plink_2(
            plink.asks(plink.regression(_DROP), source=plink.imputed_pgen),
            partial(plink.gwas, model=_DROP),
            agreement.same_effects,
        ),
    ),
    PEERS,
    needs=(inputs.imputed_cohort, inputs.imputed_pgen),
)

_X = Job(
    "gwas-x-12x1",
    f"GWAS on X, males 0/2, 1 trait, {_COVARIATES} covariates and sex",
    COMPLETE,
    own(ours.gwas_question(_MEAN, lambda data: derived.on_x(data).cohort), ours.gwas),
    (
        plink_2(
            plink.asks(plink.regression(_MEAN), source=plink.x_pgen),
            partial(plink.gwas, model=_MEAN),
            agreement.same_effects,
        ),
    ),
    ENGINE,
    needs=(derived.on_x,),
)
# No peer joins sites; what it costs is told by the same question to sites that have agreed before.
_AGREED = ours.gwas_question(_MEAN, derived.agreed)
_OF_SITES = partial(ours.gwas, traits=_MEAN.traits)
_HARMONIZED = Job(
    "gwas-harmonized-12x1",
    f"GWAS of two sites whose rows differ, 1 trait, {_COVARIATES} covariates",
    MISSING,
    own(ours.gwas_question(_MEAN, derived.differing), _OF_SITES),
    (
        Contender(
            "genome_eu",
            _AGREED.command,
            _OF_SITES,
            _AGREED.call,
            how="agreed rows",
            agrees=agreement.same_effects,
        ),
    ),
    PEERS,
    needs=(derived.agreed, derived.differing),
)

_WGR = Job(
    "wgr-12x1",
    f"Whole-genome regression, 1 trait, {_COVARIATES} covariates",
    COMPLETE,
    own(ours.gwas_question(_MEAN, model="wgr"), ours.gwas),
    (
        Contender(
            "genome_eu",
            _LINEAR.command,
            ours.gwas,
            _LINEAR.call,
            how="linear",
            agrees=agreement.same_hypothesis,
        ),
    ),
    ENGINE,
)

JOBS = (
    _BY,
    _FST,
    _QC,
    _SCORE,
    _PROJECT,
    _CLUMP,
    _LINKED_CLUMP,
    _META,
    _IMPORT_BGEN,
    _DOSAGES,
    _GWAS_DOSAGES,
    _X,
    _HARMONIZED,
    _WGR,
)
