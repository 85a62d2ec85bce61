"""The records of steps as tables in Markdown: whole ones for the laboratory's page, and pieces for other pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from latentcrs.bench.report import markdown as bench_markdown
from latentcrs.evaluate import multi_turn_tables, tables
from latentcrs.evaluate.multi_turn import Group, MultiTurnResult, SystemTalks
from latentcrs.evaluate.one_turn import OneTurnResult, SystemFigures
from latentcrs.evaluate.people import OURS, Figures, PeopleResult, SourceResult
from latentcrs.evaluate.people_tables import NAMES, people_markdown, recorded
from latentcrs.evaluate.tables import as_markdown
from latentcrs_lab.paper.published import PUBLISHED, published, published_counts
from latentcrs_lab.report.run import Record
from latentcrs_lab.report.steps import ADDITIONS, FIRST

Records = Mapping[str, Record]
ABLATION_HEADER = ("", *tables.HEADER[1:], "Δ Recall@5", "p", "the paper's finding")
PARAMETERS = {"K": "K", "alpha_m": "α^M", "alpha_e": "α^E", "kl": "λ"}
PEOPLE = ("recall@1", "recall@5", "recall@10", "recall@20", "ndcg@20")
HEARS_WORDS = ("bm25", "text", "bm25-sum", "fusion", OURS, "latentcrs-f")
"""Systems that can answer where nothing was named."""
SURE = 0.05
FEW = 50
"""Requests on which a table of all metrics would say little."""
WHOSE = {
    "redial": "ReDial",
    "tomt": "Descriptions of a film whose title escapes somebody (`tomt`)",
    "opendialkg": "OpenDialKG's last tenth",
}


def people_of(record: Record) -> PeopleResult:
    """The result of `evaluate people` back from its JSON."""
    told, sources = record["result"], {}
    for name, found in told["sources"].items():
        new, every = ({name: Figures(**f) for name, f in found[kind].items()} for kind in ("new", "all"))
        sources[name] = SourceResult(found["n"]["new"], found["n"]["all"], found["groups"], new, every)
    return PeopleResult(told["dataset"], sources, told)


def one_turn_of(record: Record) -> OneTurnResult:
    """The result of `evaluate one-turn` back from its JSON, without the requests' own figures."""
    told = dict(record["result"])
    systems = {
        name: SystemFigures(
            {metric: found[metric] for metric in tables.TITLES}, found["ci95"], found["history_left_in"], np.empty(0)
        )
        for name, found in told.pop("systems").items()
    }
    return OneTurnResult(**told, systems=systems)


def talks_of(record: Record) -> MultiTurnResult:
    """The result of `evaluate multi-turn` back from its JSON, without each conversation's outcome."""
    told, systems = dict(record["result"]), {}
    for name, found in told.pop("systems").items():
        groups = {kind: {name: Group(**one) for name, one in found[kind].items()} for kind in ("personas", "tiers")}
        found = {**found, **groups, "all": Group(**found["all"])}
        systems[name] = SystemTalks(**found, outcomes=np.empty(0, np.int64))
    return MultiTurnResult(**told, systems=systems)


def with_half(means: Mapping[str, float], ci95: Mapping[str, Sequence[float]], metric: str, digits: int = 3) -> str:
    """A mean and half its 95% interval: "0.268±.028"."""
    low, high = ci95[metric]
    return f"{means[metric]:.{digits}f}±{f'{(high - low) / 2:.3f}'.removeprefix('0')}"


def label_of(system: str, preset: str = "default") -> str:
    """What a system is called in tables of people's requests."""
    name = NAMES.get(system) or tables.title_of(system)
    return f"{name} ({preset})" if system in (OURS, "latentcrs-f") else name


# Pieces for pages: the records that each needs, and what it makes of them.


def people_table(found: Mapping[str, Figures], metrics: Sequence[str], p: bool = False, bold: bool = False) -> str:
    """Systems over people's requests."""
    heads = [metric.replace("recall", "Recall").replace("ndcg", "NDCG") for metric in metrics]
    rows = []
    for name, figures in found.items():
        shown = f"**{label_of(name)}**" if bold and name == OURS else label_of(name)
        cells = [with_half(figures.means, figures.ci95, metric) for metric in metrics]
        tested = [f"{figures.p['recall@5']:.3f}" if figures.p else ""] if p else []
        rows.append([shown, *cells, *tested])
    return as_markdown(["system", *heads, *(["p (Recall@5)"] if p else [])], rows)


def margins(found: Mapping[str, Figures]) -> str:
    """A sentence about LatentCRS_B's Recall@5 above every other system's."""
    ours = found[OURS].means["recall@5"]
    others = {name: figures for name, figures in found.items() if figures.p}
    above = [name for name, figures in others.items() if figures.means["recall@5"] > ours]
    chance = [name for name, figures in others.items() if figures.p["recall@5"] >= SURE and name not in above]

    def told(names: Sequence[str]) -> str:
        return " and ".join(f"{label_of(name)} (p = {others[name].p['recall@5']:.2f})" for name in names)

    parts = [f"Its margin above {told(chance)} could be chance; above the others it is not."] if chance else []
    parts += [f"{told(above)} is above it."] if above else []
    return " ".join(parts) or f"Its margins are no chance (p < {SURE})."


def people_short(records: Records) -> str:
    """The README's: chosen systems on ReDial, the best one last."""
    source = people_of(records[f"{FIRST}/people"]).sources["redial"]
    shown = ("suggestions", "ease", "bm25-sum", "latentcrs-b-paper", "fusion", "ease-talk", "co-mention", OURS)
    found = {name: source.new[name] for name in shown if name in source.new}
    found = dict(sorted(found.items(), key=lambda one: one[1].means["recall@5"]))
    table = people_table(found, ("recall@5", "recall@20", "ndcg@20"), bold=True)
    return f"{table}\n\n{source.n:,} requests. {margins(found)}"


def people_full(records: Records, name: str) -> str:
    """All systems on one source, and what language models were recorded to do there."""
    record = records[f"{FIRST}/people"]
    source = people_of(record).sources[name]
    found = {system: figures for system, figures in source.new.items() if name == "redial" or system in HEARS_WORDS}
    told = f"{WHOSE[name]}, {source.n:,} requests"
    if source.n < FEW:
        each = (f"{label_of(one)} {with_half(of.means, of.ci95, 'recall@20')}" for one, of in found.items())
        return f"{told}, too few to tell systems apart, Recall@20: {', '.join(each)}."
    table = people_table(found, PEOPLE, p=True)
    for model, (at_1, at_5, at_10, at_20) in recorded(name).items():
        table += f"\n| ({model}, recorded) | {at_1:.3f} | {at_5:.3f} | {at_10:.3f} | {at_20:.3f} |  |  |"
    if name != "redial":
        return f"{told}:\n\n{table}"
    here = record["hardware"]
    return f"{told} ({record['date']}, seed {record['seed']}, {here['cores']} cores, {here['device']}):\n\n{table}"


def people_groups(records: Records) -> str:
    """ReDial's requests by how many titles were named before, and all targets."""
    source = people_of(records[f"{FIRST}/people"]).sources["redial"]
    groups = [group for group in source.group_sizes if group.startswith("titles")]
    heads = [f"{group.removeprefix('titles ')} ({source.group_sizes[group]})" for group in groups]
    rows = [
        [label_of(name), *(f"{source.new[name].groups[group]['recall@5']:.3f}" for group in groups)]
        for name in ("bm25-sum", "co-mention", "fusion", OURS)
    ]
    at_5 = {name: figures.means["recall@5"] for name, figures in source.all.items()}
    return (
        f"{as_markdown(['Recall@5 by titles named before', *heads], rows)}\n\nAll {source.n_all:,} targets, "
        f"those that were named before among them: {at_5[OURS]:.3f} (co-mention {at_5['co-mention']:.3f}, saying "
        f"back what was named {at_5['say-back']:.3f})."
    )


def one_turn_short(records: Records) -> str:
    """The README's: three systems on simulated requests."""
    found = one_turn_of(records[f"{FIRST}/one-turn"])
    rows = [
        [shown, *(f"{found.systems[name].means[metric]:.3f}" for metric in ("recall@5", "recall@20"))]
        for name, shown in (
            ("behaviour", "behaviour alone"),
            ("bm25-sum", "behaviour + BM25"),
            (OURS, "**LatentCRS_B (default)**"),
        )
    ]
    return f"{as_markdown(['system', 'Recall@5', 'Recall@20'], rows)}\n\n{found.n:,} test requests."


def both_kinds(records: Records) -> str:
    """Recall@5 on what a simulated user said, and on what people said."""
    simulated = one_turn_of(records[f"{FIRST}/one-turn"])
    people = people_of(records[f"{FIRST}/people"]).sources["redial"]
    rows = [
        [
            label_of(name),
            f"{simulated.systems[name].means['recall@5']:.3f}",
            f"{people.new[name].means['recall@5']:.3f}",
        ]
        for name in ("bm25-sum", OURS)
    ]
    said = (f"what a simulated user said ({simulated.n:,} requests)", f"what people said ({people.n:,} requests)")
    return as_markdown(["MovieLens-1M, Recall@5", *said], rows)


def intents_heard(records: Records) -> str:
    """What intents expect of a value that is asked for, in a sentence."""
    found = records[f"{FIRST}/intents"]["result"]
    most = [one["value"] for one in found["values"] if one["shown"] >= 2 / 3]
    none = [one["value"] for one in found["values"] if one["shown"] < 0.05]
    told = f": two thirds and more for {', '.join(most)}" if most else ""
    told += f"; next to nothing for {', '.join(none)}" if none else ""
    return (
        f"On MovieLens-1M, asked for one of {len(found['values'])} {found['column']}, they expect "
        f"{found['lift']:.1f} times as much of it as before the words, and of the three that are shown first "
        f"{found['shown']:.0%} have it as their commonest{told}."
    )


def rules_for_people(records: Records) -> str:
    """What hard rules do for real requests, in a sentence."""
    new = people_of(records[f"{FIRST}/people"]).sources["redial"].new
    f, b = new["latentcrs-f"], new[OURS].means["recall@5"]
    return f"F has Recall@5 {f.means['recall@5']:.3f} on ReDial, B {b:.3f} (p = {f.p['recall@5']:.2f})."


def heard_simulated(records: Records) -> str:
    """How well the simulated user is heard, in a sentence."""
    found = records[f"{FIRST}/heard-simulated"]["result"]
    told = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in found.items() if name != "n")
    return f"{told}."


def additions(records: Records) -> str:
    """What each addition of the default preset brings on people's requests: the model without it."""
    whole = people_of(records[f"{FIRST}/people"])
    rows = [["(all)", "", *_at_people(whole)]]
    for each, (setting, words) in ADDITIONS.items():
        if record := records.get(f"{FIRST}/additions-{each}"):
            rows.append([f"without {words}", f"`{setting}`", *_at_people(people_of(record))])
    heads = [f"{source}, {metric}" for source in whole.sources for metric in ("Recall@5", "Recall@20")]
    return as_markdown(["", "switch", *heads], rows, names=2)


def _at_people(found: PeopleResult) -> list[str]:
    return [
        with_half(source.new[OURS].means, source.new[OURS].ci95, metric)
        for source in found.sources.values()
        for metric in ("recall@5", "recall@20")
    ]


PIECES: dict[str, tuple[tuple[str, ...], Callable[[Records], str]]] = {
    "people-short": (("people",), people_short),
    **{
        f"people-{name}": (("people",), lambda records, name=name: people_full(records, name))  # type: ignore[misc]
        for name in ("redial", "tomt", "opendialkg")
    },
    "people-groups": (("people",), people_groups),
    "rules-for-people": (("people",), rules_for_people),
    "one-turn-short": (("one-turn",), one_turn_short),
    "people-and-simulated": (("one-turn", "people"), both_kinds),
    "intents": (("intents",), intents_heard),
    "heard-simulated": (("heard-simulated",), heard_simulated),
    "additions": (("people", "additions-calibrated"), additions),
}
"""What a page may have between its markers: the records that it needs, of the first data set, and the Markdown."""


def pieces_of(records: Records) -> dict[str, str | None]:
    """Every piece; None where what it needs was not measured."""
    return {
        name: make(records) if all(f"{FIRST}/{part}" in records for part in needs) else None
        for name, (needs, make) in PIECES.items()
    }


# Whole tables, for the laboratory's page.


def dated(record: Record) -> str:
    """What figures hold for, in one small line."""
    here, commit = record["hardware"], f" ({record['commit']})" if record["commit"] else ""
    return (
        f"<sub>{record['date']}, LatentCRS {record['version']}{commit}; split {record['split']}, seed "
        f"{record['seed']}; {here['cpu']}, {here['cores']} cores, {here['device']}, PyTorch {here['torch']}; "
        f"{record['seconds']:,.0f} s, at most {record['peak_mib']:,} MiB, load average before "
        f"{record['busy']:.1f}.</sub>"
    )


def whole_table(record: Record, dataset: str) -> str:
    """All that a step found."""
    beside = next((name for name in PUBLISHED if dataset.startswith(name)), None)
    return _WHOLE[record["part"]](record, beside)


def _data(record: Record, beside: str | None) -> str:
    info = record["result"]["manifest"]
    counts = (info["users"], info["items"], info["interactions"])
    length, sparsity = counts[2] / counts[0], 100 * (1 - counts[2] / (counts[0] * counts[1]))
    rows = [["ours", *(f"{count:,}" for count in counts), f"{length:.2f}", f"{sparsity:.2f}%"]]
    if theirs := published_counts(beside):
        whole = (f"{theirs[key]:,.0f}" for key in ("users", "items", "actions"))
        rows.append(["the paper's", *whole, f"{theirs['length']:.2f}", f"{theirs['sparsity']:.2f}%"])
    return as_markdown(("", "users", "items", "actions", "average length", "sparsity"), rows)


def _with_published(shown: str, table: str, beside: str | None, digits: int) -> str:
    """The paper's figures for the same table below ours; its user is another, so digits do not compare."""
    rows = published(table, beside)
    if not rows:
        return shown
    heads = tables.HEADER[1:] if table == "one-turn" else ("S@1", "S@3", "S@5", "AT")
    cells = [[name, *(f"{value:.{digits}f}" for value in row[: len(heads)])] for name, row in rows.items()]
    theirs = as_markdown(("as the paper reports, with its own user and encoders", *heads), cells)
    return f"{shown}\n\n{theirs}"


def _one_turn(record: Record, beside: str | None) -> str:
    return _with_published(tables.markdown(one_turn_of(record)), "one-turn", beside, 4)


def _talks(record: Record, beside: str | None) -> str:
    found = talks_of(record)
    shown = multi_turn_tables.markdown_of(found)
    return _with_published(shown, "multi-turn", beside, 3) if found.user == "attributes" else shown


def _intents(record: Record, beside: str | None) -> str:
    found = record["result"]
    rows = [
        [one["value"], f"{one['items']:,}", *(f"{one[name]:.3f}" for name in ("q", "f", "lift", "shown"))]
        for one in found["values"]
    ]
    rows.append(["all", "", "", "", f"{found['lift']:.2f}", f"{found['shown']:.3f}"])
    return as_markdown((found["column"], "items", "before", "after words", "lift", "shown"), rows)


def _heard(record: Record, beside: str | None) -> str:
    files = record["result"].get("files") or {"figure": record["result"]}
    names = dict.fromkeys(name for found in files.values() for name in found if name != "trade_off")

    def cell(value: Any) -> str:
        return f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)

    rows = [[name.replace("_", " "), *(cell(found.get(name)) for found in files.values())] for name in names]
    return as_markdown(("", *files), rows)


def ablation_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """The rows of one preset's ablations (`AblationResult.as_json`) under `ABLATION_HEADER`."""
    rows = []
    for row in result["rows"]:
        means = (with_half(row["test"], row["test"]["ci95"], metric, 4) for metric in tables.TITLES)
        test = f"{row['difference']['recall@5']:+.4f}" if row.get("difference") else ""
        p = f"{row['p']['recall@5']:.4f}" if row.get("p") else ""
        rows.append([row["name"], *means, test, p, (row.get("paper_finding") or {}).get("recall@5", "")])
    return rows


def _ablation(record: Record, beside: str | None) -> str:
    return as_markdown(ABLATION_HEADER, ablation_rows(record["result"]))


def _sensitivity(record: Record, beside: str | None) -> str:
    found = record["result"]
    rows = [
        [
            PARAMETERS[name],
            f"{point['value']:g}{' (the preset)' if point['value'] == found['centre'][name] else ''}",
            *(with_half(point["test"], point["test"]["ci95"], metric, 4) for metric in ("recall@5", "ndcg@20")),
        ]
        for name, points in found["curves"].items()
        for point in points
    ]
    return as_markdown(("parameter", "value", "Recall@5", "NDCG@20"), rows, names=2)


_WHOLE: dict[str, Callable[[Record, str | None], str]] = {
    "people": lambda record, _: people_markdown(people_of(record)),
    "additions": lambda record, _: people_markdown(people_of(record)),
    **dict.fromkeys(("one-turn", "systems", "judged"), _one_turn),
    **dict.fromkeys(("multi-turn", "plot", "systems-talk", "judged-talk", "played"), _talks),
    "data": _data,
    "intents": _intents,
    "heard": _heard,
    "ablation": _ablation,
    "sensitivity": _sensitivity,
    "curves": lambda record, _: "Recall@5, test split.",
    "bench": lambda record, _: "\n".join(bench_markdown(record["result"]["report"])),
}
