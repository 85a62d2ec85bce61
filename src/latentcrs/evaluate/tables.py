"""Results as tables: on the terminal, and as Markdown for documents."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from latentcrs.base.progress import console, show
from latentcrs.evaluate.one_turn import METRICS, VARIANTS, OneTurnResult
from latentcrs.systems.open import find_system, report_line

NAMES = {
    "popularity": "popularity",
    "behaviour": "behaviour only",
    "text": "text only",
    "sum": "weighted sum",
    "bm25-sum": "behaviour + BM25",
    "bm25-fusion": "two-tower fusion + BM25",
    "fusion": "two-tower fusion",
    "latentcrs-b": "LatentCRS_B",
    "latentcrs-b-paper": "LatentCRS_B (paper)",
    "latentcrs-f": "LatentCRS_F",
    "latentcrs-f-paper": "LatentCRS_F (paper)",
    "latentcrs-v": "LatentCRS_V",
}
OURS = ("latentcrs-b", "latentcrs-f", "latentcrs-v")
TITLES = {"recall@5": "Recall@5", "ndcg@5": "NDCG@5", "recall@20": "Recall@20", "ndcg@20": "NDCG@20"}


HEADER = ["system", *TITLES.values()]


def title_of(name: str) -> str:
    """What the system `name` is called in a table."""
    return NAMES[name] if name in NAMES else find_system(name).title


def label_of(result: OneTurnResult, name: str) -> str:
    """What a system is called in a table."""
    return f"{NAMES[name]} ({result.about['preset']})" if name in OURS else title_of(name)


def rows_of(result: OneTurnResult) -> list[list[str]]:
    """One row a system: its name, and each metric with the half-width of its interval."""
    rows = []
    for name, figures in result.systems.items():
        half = {metric: (high - low) / 2 for metric, (low, high) in figures.ci95.items()}
        cells = [f"{figures.means[m]:.4f}±{half[m]:.3f}".replace("±0", "±") for m in METRICS]
        rows.append([label_of(result, name), *cells])
    return rows


def left_in_rows_of(result: OneTurnResult) -> list[list[str]]:
    """The same systems with the history left in the ranking, as the paper's code does."""
    return [
        [label_of(result, name), *(f"{figures.left_in[metric]:.4f}" for metric in METRICS)]
        for name, figures in result.systems.items()
        if figures.left_in
    ]


def notes(result: OneTurnResult) -> list[str]:
    """What a reader must know beside the table."""
    lines = [
        f"{result.dataset}, {result.split} split, {result.n:,} requests, whole catalogue less the user's history, "
        "ties against the target; ± is half the 95% bootstrap interval.",
        f"Best weighted sum: text weight {result.about['weight_of_text_in_sum']:.2f}, chosen on validation.",
    ]
    for metric in ("recall@5", "ndcg@20"):
        found = result.comparisons[metric]
        lines.append(
            f"LatentCRS_B against the best other, {title_of(found['best_other'])}: {TITLES[metric]} "
            f"{found['difference']:+.4f} (paired randomisation test, p = {found['p']:.4f})."
        )
    for name, (ours, theirs) in VARIANTS.items():
        for metric in ("recall@5", "ndcg@20") if name in result.variants else ():
            found = result.variants[name][metric]
            lines.append(
                f"{NAMES[ours]} against {NAMES[theirs]}: {TITLES[metric]} {found['ratio']:.2f} times, "
                f"{found['difference']:+.4f} (paired randomisation test, p = {found['p']:.4f})."
            )
    rules = result.about["rules"]
    lines.append(
        f"F heard {rules['rules']:,} rules in {rules['requests with a rule']:,} requests and wishes in "
        f"{rules['requests with a wish']:,}, by words alone (lexical, no language model)."
    )
    if "judge" in result.about:
        lines.append(
            f"V was judged by {result.about['judge']}; {result.about['judgements_failed']:,} of "
            f"{result.about['judgements']:,} judgements failed: F's order stood. The history is not left in."
        )
    lines += [f"{title_of(name)}: {report_line(report)}." for name, report in result.about.get("reports", {}).items()]
    if result.about["history"] is not None:
        lines.append(f"Every system saw {result.about['history']} items of each history.")
    return lines


def print_table(result: OneTurnResult) -> None:
    """The one-turn tables on the terminal: both protocols."""
    where = f"One turn on {result.dataset} ({result.split})"
    print_rows(where, HEADER, rows_of(result))
    print_rows(f"{where}, history left in the ranking", HEADER, left_in_rows_of(result), notes(result))


def markdown(result: OneTurnResult) -> str:
    """The one-turn tables and their notes as Markdown."""
    left_in = ["", "With the history left in the ranking, as the published code does:", ""]
    tables = [as_markdown(HEADER, rows_of(result)), *left_in, as_markdown(HEADER, left_in_rows_of(result))]
    return "\n".join([*tables, "", *notes(result)])


def print_rows(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[str] = ()) -> None:
    """A table on the terminal, our systems in bold, and `lines` below it."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(header):
        table.add_column(heading, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row, style="bold" if row[0].startswith("LatentCRS") else "")
    console.print(table)
    for line in lines:
        show(line)


def as_markdown(header: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """A table as Markdown; the first `names` columns are words, the others figures."""
    rule = "|" + "---|" * names + "---:|" * (len(header) - names)
    return "\n".join([_line(header), rule, *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
