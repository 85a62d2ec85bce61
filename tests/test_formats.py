"""Claims about what older and newer versions wrote: read, refused in a sentence, and not trained again in vain."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import latentcrs
from latentcrs.fit import training
from latentcrs.intent import load_config

KEPT = Path(__file__).parent / "kept"
sys.path.insert(0, str(KEPT))
import make  # noqa: E402


@pytest.mark.parametrize("kept", sorted(KEPT.glob("format-*")), ids=lambda folder: folder.name)
def test_what_an_earlier_version_wrote_is_read_and_recommends_what_it_did(kept: Path) -> None:
    interactions, items = make.frames()
    data = latentcrs.Dataset(kept / "dataset")
    assert data.info.interactions == len(interactions) and data.items["title"].equals(items["title"])
    assert len(data.requests) == 3 * data.info.users
    model = latentcrs.load(kept / "bundle")
    wanted = json.loads((kept / "answers.json").read_text("utf-8"))
    for (history, request), before in zip(make.ASKED, wanted, strict=True):
        now = [found.item_id for found in model.recommend(history, request, k=5)]
        # Another processor has other last digits.
        assert now[0] == before[0] and len({*now} & {*before}) >= 4


@pytest.mark.parametrize(
    ("written", "told"),
    [(0, "make it anew with '{command}'."), (2, "upgrade LatentCRS, or make it anew with '{command}'.")],
    ids=["older", "newer"],
)
@pytest.mark.parametrize(
    ("what", "manifest", "command"),
    [
        ("dataset", "dataset.json", "latentcrs.Dataset.from_frames"),
        ("bundle", "bundle.json", "latentcrs.LatentCRS().fit"),
    ],
)
def test_another_format_is_refused_in_a_sentence_that_says_how_to_make_it_anew(
    written: int, told: str, what: str, manifest: str, command: str, tmp_path: Path
) -> None:
    shutil.copytree(KEPT / "format-1" / what, tmp_path / what)
    path = tmp_path / what / manifest
    about = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**about, "format": written, "unheard of": True}), "utf-8")
    with pytest.raises(latentcrs.UserError) as refused:
        (latentcrs.Dataset if what == "dataset" else latentcrs.load)(tmp_path / what)
    sentence = f"{path} has format {written}, and this LatentCRS reads 1: {told.format(command=command)}"
    assert str(refused.value) == sentence


def test_a_release_that_changes_no_stage_trains_nothing_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def names() -> dict[str, str]:
        found = training.stage_checkpoints("the inputs", load_config(), tmp_path)
        return {stage: checkpoint.fingerprint for stage, checkpoint in found.items()}

    before = names()
    monkeypatch.setattr(latentcrs, "__version__", "9.0.0")
    assert names() == before
    # A stage that changed is trained anew, and so is what is made of it: nothing else.
    monkeypatch.setitem(training.SINCE, "generative", "0.10.0")
    assert {stage for stage, name in names().items() if name != before[stage]} == {"generative", "em"}
