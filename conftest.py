"""Fixtures that every test may use."""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from brief import SETTINGS, train_paper_briefly
from needs import require
from once import IN_A_WORKER, made_once

if TYPE_CHECKING:
    from latentcrs.recommend import Recommender
    from latentcrs.systems.hearing import FacetHearing

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does: see cli/main.py
if IN_A_WORKER:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core each
for wait in ("READY", "HEALTH"):  # Ray ends a proxy that a busy machine does not start in five seconds
    os.environ.setdefault(f"RAY_SERVE_PROXY_{wait}_CHECK_TIMEOUT_S", "90")
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # how fast examples are made is no claim of any test
WANTED = {"shared_data", "smollm2", "browser"}
"""Fixtures of what takes its time or is not everywhere. What hangs on none of them is marked `quick`."""
REPOSITORY = Path(__file__).resolve().parent


@pytest.fixture(scope="session", autouse=True)
def _one_command_line() -> Iterator[None]:
    """The commands are built once in a process, as they are for a user: it takes a tenth of a second."""
    import typer.main
    import typer.testing

    built = cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", built)
        patch.setattr(typer.testing, "_get_command", built)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Callable[..., Path]:
    """Finds real data by name below `LATENTCRS_DATA` (else ../shared/data): `shared_data("ml-1m")`.

    Data that is not there skips the test on a developer's machine and fails it in CI (the variable `CI` is set),
    where a silent skip would hide that nothing was tested.
    """
    root = Path(os.environ.get("LATENTCRS_DATA") or REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        require((root / name).exists(), f"{name} is not below {root}; set LATENTCRS_DATA to the folder that holds it")
        return root / name

    return find


@pytest.fixture(scope="session")
def small_movielens(shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set with requests: the first 250 people of MovieLens-1M, 670 films that at least ten of them
    like; trained on within seconds.
    """
    from typer.testing import CliRunner

    from latentcrs.cli.main import app
    from latentcrs.data import PreparedDataset
    from latentcrs.users import fill_requests

    whole = shared_data("ml-1m")

    def make(folder: Path) -> None:
        raw = folder / "raw"
        raw.mkdir()
        for name in ("movies.dat", "users.dat", "movies_extrainfos.dat"):
            shutil.copy(whole / name, raw / name)
        with (whole / "ratings.dat").open("rb") as log, (raw / "ratings.dat").open("wb") as part:
            part.writelines(itertools.takewhile(lambda line: int(line.split(b"::")[0]) <= 250, log))
        options = ["--from", str(raw), "--item-core", "10", "--out", str(folder / "dataset")]
        ran = CliRunner().invoke(app, ["data", "prepare", "ml-1m", *options], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        fill_requests(PreparedDataset(folder / "dataset"))

    return made_once(tmp_path_factory, "small-movielens", make) / "dataset"


@pytest.fixture(scope="session")
def small_movielens_cache(small_movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that holds the embeddings of all texts of `small_movielens`: copy it, or use it as it is.

    It takes a minute: workers that want it at once share the work, each beginning elsewhere.
    """
    from latentcrs.data import PreparedDataset
    from latentcrs.text import embed, open_encoder

    encoder, dataset = open_encoder("minilm", "cpu"), PreparedDataset(small_movielens)
    texts = [*dataset.items["text"], *dataset.requests["text"]]
    cache = made_once(tmp_path_factory, "cache", lambda _: None)
    parts = range(12)
    begin = 6 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % len(parts)
    for part in (*parts[begin:], *parts[:begin]):
        made = partial(embed, texts[part :: len(parts)], encoder, cache / "embeddings")
        made_once(tmp_path_factory, f"embedded-{part}", lambda _, made=made: made())
    return cache


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The embedded model's file, in the cache that all tests share."""
    from latentcrs.base.errors import UserError
    from latentcrs.llm.embedded import fetch_model, require_runtime

    try:
        require_runtime()
        return fetch_model()
    except UserError as error:
        require(None, str(error))
        raise


@pytest.fixture(scope="session")
def settings() -> list[str]:
    return SETTINGS


@pytest.fixture(scope="session")
def bundle(small_movielens: Path, small_movielens_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle trained on real people, once for all tests that only read it."""
    from latentcrs import train

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
            train(small_movielens, folder / "movies", settings=SETTINGS, device="cpu")

    return made_once(tmp_path_factory, "models", make) / "movies"


@pytest.fixture
def brief_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    train_paper_briefly(monkeypatch)


@pytest.fixture(scope="session")
def recommender(bundle: Path) -> Recommender:
    from latentcrs.recommend import load

    return load(bundle)


@pytest.fixture(scope="session")
def ids(recommender: Recommender) -> Callable[[str], str]:
    """The id of a film by its title."""
    items = recommender.bundle.items
    return dict(zip(items["title"].to_list(), items["item_id"].to_list(), strict=True)).__getitem__


@pytest.fixture(scope="session")
def hearing(small_movielens: Path) -> FacetHearing:
    """Hears facets in what is said about `small_movielens`; each text once, whichever test asks."""
    from latentcrs.data import PreparedDataset
    from latentcrs.systems.facets import Facets
    from latentcrs.systems.hearing import FacetHearing

    dataset = PreparedDataset(small_movielens)
    hearing = FacetHearing(dataset, Facets.of(dataset))
    hearing._extractor.extract = cache(hearing._extractor.extract)  # type: ignore[method-assign]
    return hearing


@pytest.hookimpl(trylast=True)  # after their order was drawn
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow = set()
    for item in items:
        if WANTED & set(getattr(item, "fixturenames", ())):
            slow.add(item.path)
        else:
            item.add_marker("quick")
    items.sort(key=lambda item: item.path not in slow)  # files that take long begin first: workers end together


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With `--durations`, the seconds of each file; in one line, whatever could not run, and why."""
    if most := config.getoption("durations"):
        seconds = Counter[str]()
        for report in itertools.chain(*terminalreporter.stats.values()):
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.split("::")[0]] += report.duration
        terminalreporter.section(f"slowest {most} files")
        for file, taken in seconds.most_common(most):
            terminalreporter.write_line(f"{taken:7.1f}s {file}")
    skipped = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    if skipped:
        told = "; ".join(f"{why.removeprefix('Skipped: ')} ({count})" for why, count in skipped.most_common())
        terminalreporter.write_line(f"Not run: {told}", yellow=True)
