"""Runs the paper's experiments and writes their page: results.md, results.html, its pictures, and results.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from latentcrs.base.files import atomic_file
from latentcrs.bench.machine import hardware
from latentcrs.data import PreparedDataset
from latentcrs.llm import ChatModel
from latentcrs.llm.embedded import is_in_process
from latentcrs_lab.paper.figures import draw
from latentcrs_lab.paper.page import html_of, markdown_of
from latentcrs_lab.paper.published import published_name
from latentcrs_lab.paper.steps import STEPS, PaperRun, PaperSettings


def evaluate_paper(
    dataset: str | Path,
    out: str | Path,
    steps: Sequence[str] = STEPS,
    settings: Sequence[str] = (),
    model: ChatModel | None = None,
    n: int = 500,
    seed: int = 0,
    beside: str | None = None,
    device: str = "auto",
) -> Path:
    """Run the experiments of the paper (`steps` of them) on one data set and write their page into `out`; returns the
    Markdown page. Steps that are done are not done again.

    settings: laid over every preset. beside: the data set of the paper to print next to ours, if not the one that
    this one's name says.

    Raises:
        UserError: no data set there, or no requests in it that the evaluation needs.
    """
    prepared, folder = PreparedDataset(dataset), Path(out)
    run = PaperRun(PaperSettings(prepared, folder, tuple(settings), model, n, seed, device))
    results = run.run(steps)
    info = run.opened.bundle.info
    name = prepared.info.name if prepared.info.name != "own" else prepared.path.resolve().name
    found = hardware(device)
    about = {
        "name": name,
        "encoder": f"{info.text_encoder.spec} ({info.text_encoder.id})",
        "behaviour": {"sasrec": "SASRec", "iclrec": "ICLRec"}[info.config.behaviour.encoder],
        "command": _command(name, run.setting, steps),
        "hardware": f"{found['cpu']}, {found['cores']} cores, {found['device']}, PyTorch {found['torch']}",
        "seed": seed,
        "seconds": run.seconds,
    }
    drawn = draw(results, folder / "images")
    if (folder / "intents.png").is_file():
        drawn["intents"] = folder / "intents.png"
    pictures = {key: str(path.relative_to(folder)) for key, path in drawn.items()}
    page = markdown_of(results, about, beside or published_name(prepared), pictures)
    at = {pictures[key]: path for key, path in drawn.items()}
    written = {"results.md": page, "results.html": html_of(page, at, f"The paper on {name}")}
    written["results.json"] = json.dumps({"about": about, "results": results})
    for file, text in written.items():
        with atomic_file(folder / file) as temporary:
            temporary.write_text(text, "utf-8")
    return folder / "results.md"


def _command(name: str, setting: PaperSettings, steps: Sequence[str]) -> str:
    """What was typed, but for the folders."""
    parts = ["latentcrs-lab paper", name]
    if set(steps) != set(STEPS):
        parts += ["--only", ",".join(steps)]
    parts += [f"--set {each}" for each in setting.settings]
    if setting.model is not None:
        parts += [f"--llm {'local' if is_in_process(setting.model.id) else setting.model.id}"]
    if setting.n != PaperSettings.n:
        parts += [f"--n {setting.n}"]
    return " ".join(parts)
