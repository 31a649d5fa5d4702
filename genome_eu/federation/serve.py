"""A site's daemon: waits for plans in the exchange and answers them through the airlock."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from genome_eu.disclosure import load_policy
from genome_eu.disclosure.policy import SHIPPED
from genome_eu.errors import BadInput, PanelError, Refused, TraitError, UsageError
from genome_eu.federation.bundle import Bundle, FileArrays, write_answer, write_refusal
from genome_eu.federation.carriers.exchange import ExchangeInbox
from genome_eu.federation.plan import Name
from genome_eu.federation.site import Site
from genome_eu.federation.state import SiteState

log = logging.getLogger("genome_eu.site")

_POLL_S = 0.1
_POLL_LIMIT_S = 2.0
# A plan that ended the daemon this often (memory, a crash below Python) is refused unanswered.
_MOST_ATTEMPTS = 2


class SiteSettings(BaseModel):
    """`site.toml`: what a site serves. Paths are relative to the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    cohort: str
    exchange: str
    policy: str = "default"
    state: str = "state"


def read_settings(path: Path) -> SiteSettings:
    """Read and validate `site.toml`.

    Raises
    ------
    BadInput
        The file is missing, is not TOML, or lacks or misnames something.
    """
    try:
        return SiteSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise BadInput(
            f"site file {path} cannot be read; make one with `genome-eu site init`"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"site file {path} is not valid TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"site file {path}: {where}: {first['msg'].lower()}") from None


def open_served(path: Path) -> tuple[Site, ExchangeInbox]:
    """The site and its inbox that a `site.toml` describes."""
    settings = read_settings(path)
    base = path.parent
    policy = load_policy(settings.policy if settings.policy in SHIPPED else base / settings.policy)
    site = Site.open(
        settings.name,
        base / settings.cohort,
        policy,
        state=SiteState(base / settings.state),
    )
    return site, ExchangeInbox(base / settings.exchange, settings.name)


def answer_one(site: Site, inbox: ExchangeInbox, request: Bundle) -> bool:
    """Answer one plan: a release, or a refusal that says no more than it must.

    Returns
    -------
    bool
        Whether the answer could be delivered.
    """
    plan = request.manifest.content
    if plan is None:
        return False
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="genome-eu-") as folder:
        bundle = Path(folder) / "answer.tar"
        arrays = Path(folder) / "arrays"
        arrays.mkdir()
        try:
            if site.state.begin(plan.hash) >= _MOST_ATTEMPTS:
                raise RuntimeError(f"begun {_MOST_ATTEMPTS} times and never finished")
            released = site.release(plan, request.inputs(), FileArrays(arrays))
            write_answer(bundle, released, site.cohort_digest)
        except Refused as error:
            log.warning("plan %s: %s refused: %s", plan.hash[:12], plan.statistic, error)
            write_refusal(bundle, site.name, plan.hash, "policy", str(error))
        except (TraitError, PanelError) as error:
            # These speak of columns and rows that the plan itself names, never of a value.
            log.warning("plan %s: %s cannot be answered: %s", plan.hash[:12], plan.statistic, error)
            write_refusal(bundle, site.name, plan.hash, "input", str(error))
        except BadInput as error:
            log.error("plan %s: %s cannot be answered: %s", plan.hash[:12], plan.statistic, error)
            message = f"its cohort or the plan of {plan.statistic} cannot be used; see its log"
            write_refusal(bundle, site.name, plan.hash, "input", message)
        except Exception:
            # The daemon outlives a bug of ours; the coordinator learns only that there was one.
            log.exception("plan %s: %s failed", plan.hash[:12], plan.statistic)
            write_refusal(bundle, site.name, plan.hash, "fault", "internal error; see its log")
        size = bundle.stat().st_size
        try:
            inbox.deliver(plan, bundle)
        except (OSError, UsageError) as error:
            # Its study may be gone, or the folder out of reach; other plans are still to be served.
            log.error("plan %s: the answer cannot be delivered: %s", plan.hash[:12], error)
            return False
    site.state.finished(plan.hash)
    took = time.monotonic() - begun
    log.info(
        "study %s round %d: %s answered, %d bytes, %.1f s",
        plan.study,
        plan.round,
        plan.statistic,
        size,
        took,
    )
    return True


def serve(
    site: Site,
    inbox: ExchangeInbox,
    *,
    stop: threading.Event,
    idle_exit_s: float | None = None,
) -> int:
    """Answer plans until `stop` is set, or until none came for `idle_exit_s` seconds.

    Returns
    -------
    int
        Plans answered.
    """
    answered = 0
    pause, idle_since = _POLL_S, time.monotonic()
    log.info("site %s serves %s", site.name, site.store.name)
    while not stop.is_set():
        worked = False
        for request in inbox.plans():
            try:
                if answer_one(site, inbox, request):
                    answered += 1
                    worked = True
            except OSError as error:
                # A full disk, or a folder out of reach: wait, and try again.
                log.error("%s: %s", error.filename or "disk", error.strerror)
            if stop.is_set():
                break
        now = time.monotonic()
        if worked:
            pause, idle_since = _POLL_S, now
            continue
        if idle_exit_s is not None and now - idle_since > idle_exit_s:
            break
        stop.wait(pause)
        pause = min(pause * 1.5, _POLL_LIMIT_S)
    return answered
