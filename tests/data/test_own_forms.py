"""Claims about the forms that files of a shop come in: each kind of fault in shapes that no example has."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.data.check import check
from latentcrs.data.guessed import guessed_mapping
from latentcrs.data.mapping import read_mapping
from latentcrs.data.prepare import prepare
from latentcrs.data.sources.own import read_own

PEOPLE, SHELF = [f"u{number}" for number in range(4)], [f"i{number}" for number in range(8)]
ROWS = [(user, item, 5, 1_600_000_000 + 60 * n) for user in PEOPLE for n, item in enumerate(SHELF)]
GENRES = ["Action", "Drama", "Horror", "Comedy"]


def log_text(
    separator: str = ",", rows: list[tuple[Any, ...]] = ROWS, header: str = "user_id,item_id,rating,timestamp"
):
    lines = [header.replace(",", separator), *(separator.join(map(str, row)) for row in rows)]
    return "\n".join(lines) + "\n"


def items_text(separator: str = ",", **columns: list[Any]) -> str:
    table = {"item_id": SHELF, "title": [f"Film {n}" for n in range(len(SHELF))], **columns}
    return pl.DataFrame(table, strict=False).write_csv(separator=separator)


class Shop:
    """Files in a folder, to be read and prepared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: str | bytes | pl.DataFrame) -> Path:
        path = self.folder / name
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def prepare(
        self,
        log: Any = None,
        items: Any = None,
        mapping: str = "",
        log_name: str = "log.csv",
        items_name: str = "items.csv",
    ) -> tuple[PreparedDataset, str]:
        """The data set, and the notes; a check has to say the same."""
        paths = (
            self.write(log_name, log_text() if log is None else log),
            self.write(items_name, items_text() if items is None else items),
        )
        said = self.write("map.toml", mapping) if mapping else None
        read = lambda: read_own(*paths, said, self.folder / "work")  # noqa: E731
        dataset = prepare(read(), self.folder / "out", user_core=3).dataset
        (self.folder / "check").mkdir(exist_ok=True)
        report = check(read(), self.folder / "check", user_core=3)
        assert (report.notes, report.dropped, report.refused) == (dataset.info.notes, dataset.info.dropped, None)
        return dataset, "\n".join(dataset.info.notes)

    def refuse(self, *arguments: Any, **more: Any) -> str:
        with pytest.raises(UserError) as raised:
            self.prepare(*arguments, **more)
        assert "\n" not in str(raised.value)
        return str(raised.value)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_structs_and_lists_of_parquet_are_read_and_the_unusable_said(shop: Shop) -> None:
    frame = pl.DataFrame(
        {
            "item_id": SHELF,
            "offer": [{"amount": n + 0.5, "price": {"currency": "EUR"}} for n in range(8)],
            "cast": [[{"id": n, "name": f"Person {n % 3}"}] for n in range(8)],
            "vector": [[0.1, 0.2]] * 8,
            "blob": [b"\xff\xfe\x00"] * 8,
            "maker": [f"Maker {n % 2}".encode() for n in range(8)],
            "deep": [[["a"], ["b", "c"]]] * 8,
        }
    )
    dataset, notes = shop.prepare(items=frame, items_name="items.parquet")
    assert dataset.info.columns["offer.amount"] == "number" and dataset.items["offer.amount"][1] == 1.5
    assert dataset.items["offer.price.currency"][0] == "EUR" and dataset.items["maker"][1] == "Maker 1"
    assert dataset.items["cast"].to_list()[1] == ["Person 1"] and dataset.items["deep"].to_list()[0] == [
        "a",
        "b",
        "c",
    ]
    assert "vector is left out" in notes and "blob is left out" in notes and "offer is read as" in notes


@pytest.mark.parametrize(
    "notation",
    [
        lambda names: json.dumps(names),
        repr,
        lambda names: repr(tuple(names)),
        lambda names: "[" + " ".join(map(repr, names)) + "]",
        lambda names: "array([" + ", ".join(map(repr, names)) + "], dtype=object)",
        lambda names: "{" + ",".join(f'"{name}"' for name in names) + "}",
        lambda names: "{" + ",".join(names) + "}",
        lambda names: "[" + ", ".join(names) + "]",
        lambda names: json.dumps([{"id": 1, "title": name} for name in names]),
        lambda names: repr([{"tag": name} for name in names]),
    ],
)
def test_lists_are_read_row_by_row_in_any_notation(notation: Callable[[list[str]], str], shop: Shop) -> None:
    names = [[GENRES[n % 4], GENRES[(n + 1) % 4]] for n in range(8)]
    column: list[str | None] = [notation(value) for value in names]
    column[0], column[2] = None, "Sci-Fi|Western"
    dataset, notes = shop.prepare(items=items_text(genres=column))
    read = [None if value is None else sorted(value) for value in dataset.items["genres"].to_list()]
    assert read == [None, sorted(names[1]), ["Sci-Fi", "Western"], *(sorted(value) for value in names[3:])]
    assert "genres holds lists" in notes


def test_objects_in_text_become_columns_in_log_and_catalogue(shop: Shop) -> None:
    people = [(f'"{{""id"": ""{user}""}}"', item, rating, time) for user, item, rating, time in ROWS]
    log = log_text(rows=people, header="user,item_id,rating,timestamp")
    items = items_text(offer=[f"{{'amount': {n}.5, 'currency': 'EUR'}}" for n in range(8)])
    dataset, notes = shop.prepare(log, items, '[interactions]\nuser = "user.id"\n')
    assert dataset.user_ids.to_list() == PEOPLE and "user holds objects" in notes
    assert dataset.items["offer.amount"].to_list() == [n + 0.5 for n in range(8)]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("log.csv.gz", gzip.compress),
        ("log.csv.bz2", bz2.compress),
        ("log.csv.xz", lzma.compress),
        ("log.csv.zst", lambda text: pa.compress(text, "zstd", asbytes=True)),
        ("log.csv", gzip.compress),
    ],
)
def test_compressed_files_are_told_by_what_they_hold(name: str, pack: Callable[[bytes], bytes], shop: Shop) -> None:
    dataset, notes = shop.prepare(pack(log_text().encode()), log_name=name)
    assert dataset.info.interactions == 32 and "unpacked" in notes
    broken = log_text().encode() + b'u0,"i0 that never closes,5,1600000000\n'
    assert shop.prepare(pack(broken), log_name=name)[0].info.interactions == 32


def test_a_zip_of_one_file_is_read_and_of_several_refused(shop: Shop) -> None:
    def zipped(*names: str) -> bytes:
        with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
            for name in names:
                archive.writestr(name, log_text())
        return stream.getvalue()

    assert shop.prepare(zipped("log.csv", "__MACOSX/._log.csv"), log_name="log.csv.zip")[0].info.interactions == 32
    assert "holds 2 files (a.csv, b.csv)" in shop.refuse(zipped("a.csv", "b.csv"), log_name="log.zip")
    assert "Excel" in shop.refuse(zipped("[Content_Types].xml", "xl/workbook.xml"), log_name="log.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1"])
def test_encodings_are_recognised_and_said(encoding: str, shop: Shop) -> None:
    titles = [f"Amélie à {n} — Straße" if encoding != "latin-1" else f"Amélie à {n}" for n in range(8)]
    items = items_text(title=titles, maker=["Señor & Söhne"] * 8)
    dataset, notes = shop.prepare(items=items.encode(encoding))
    assert dataset.items["title"].to_list() == titles
    said = notes + json.dumps(dataset.info.dropped)
    assert encoding == "utf-8-sig" or "read as" in said or "wrong encoding" in said


def test_letters_that_are_not_latin_are_told_by_the_text(shop: Shop) -> None:
    titles = [f"Весёлые ребята и их друзья, часть {n}" for n in range(8)]
    dataset, _ = shop.prepare(items=items_text(title=titles).encode("cp1251"))
    assert dataset.items["title"].to_list() == titles
    japanese = [f"千と千尋の神隠し {n}" for n in range(8)]
    mapping = '[items]\nencoding = "shift_jis"\n'
    assert (
        shop.prepare(items=items_text(title=japanese).encode("shift_jis"), mapping=mapping)[0]
        .items["title"][0]
        .startswith("千と千尋")
    )


@pytest.mark.parametrize("separator", [";", "\t", "|", "^", "\x01"])
@pytest.mark.parametrize("name", ["log.csv", "log.txt"])
def test_any_separator_and_carriage_returns_alone(separator: str, name: str, shop: Shop) -> None:
    text = log_text(separator)
    dataset, notes = shop.prepare(text, log_name=name)
    assert dataset.info.interactions == 32 and "fields separated by" in notes
    assert shop.prepare(text.replace("\n", "\r"), log_name=name)[0].info.interactions == 32
    assert shop.prepare(f"sep={separator}\n{text}" if separator != "\t" else text)[0].info.interactions == 32


def test_broken_quotes_are_mended_and_named(shop: Shop) -> None:
    lines = items_text().splitlines()
    lines[1] = 'i0,"The "Best" Film"'
    lines[2] = 'i1,"Never closed'
    lines[3] = 'i2,"Said \\"so\\", twice"'
    lines[4] = 'i3, "after, a blank"'
    lines[5] = 'i4,"over\ntwo lines, rightly"'
    dataset, _ = shop.prepare(items="\n".join(lines) + "\n")
    assert dataset.items["title"].to_list()[:5] == [
        'The "Best" Film',
        "Never closed",
        'Said "so", twice',
        "after, a blank",
        "over two lines, rightly",
    ]
    assert dataset.info.dropped == {"quotes that do not close (the row is kept)": 4}


def test_blank_lines_are_passed_over_and_an_unknown_separator_is_asked_about(shop: Shop) -> None:
    dataset, notes = shop.prepare(log_text().replace("\n", "\n\n"))
    assert dataset.info.interactions == 32 and dataset.info.dropped == {} and "blank lines are passed over" in notes
    assert "There is one column" in shop.refuse(log_text("::"))
    assert shop.prepare(log_text(" "), mapping='[interactions]\nseparator = " "\n')[0].info.interactions == 32


def test_a_json_array_is_read(shop: Shop) -> None:
    log = json.dumps([dict(zip(("user", "item", "stars", "time"), row, strict=True)) for row in ROWS])
    items = json.dumps([{"id": item, "name": item, "specs": {"size": {"cm": n}}} for n, item in enumerate(SHELF)])
    dataset, _ = shop.prepare(log, items, log_name="log.json", items_name="items.json")
    assert dataset.info.interactions == 32 and dataset.items["specs.size.cm"].to_list() == list(range(8))


@pytest.mark.parametrize(
    ("ratings", "threshold", "said"),
    [
        (["4/5", "5/5", "2/5"], 4, "out of 5"),
        (["4,5", "5,0", "2,5"], 4, "commas"),
        (["8.0 out of 10", "9.5 out of 10", "3.0 out of 10"], 8, "out of 10"),
        (["★★★★☆", "★★★★★", "★★½"], 4, "stars are counted"),
        (["4.5 stars", "5 stars", "2 stars"], 4, "taken off"),
        (["up", "up", "down"], 1, "up is 1"),
        (["thumbs_up", "thumbs_up", "thumbs_down"], 1, "thumbs_down is 0"),
        (["1", "1", "-1"], 1, "scale up to 1"),
        (["True", "True", "False"], 1, "true is 1"),
        (["4.5", "5", "0.5"], 4, "scale up to 5"),
        (["90", "100", "15"], 80, "scale up to 100"),
        (["3", "3", "1"], 3, "scale up to 3"),
    ],
)
def test_the_threshold_follows_the_scale_whatever_it_is(
    ratings: list[str], threshold: float, said: str, shop: Shop
) -> None:
    rows = [(user, item, f'"{ratings[n % 3]}"', time) for n, (user, item, _, time) in enumerate(ROWS)]
    dataset, notes = shop.prepare(log_text(rows=rows))
    assert dataset.info.threshold == threshold and said in notes
    assert dataset.info.dropped["rating below the threshold"] == sum(n % 3 == 2 for n in range(32))


def test_counts_are_no_scale(shop: Shop) -> None:
    rows = [(user, item, 3 ** (n % 9), time) for n, (user, item, _, time) in enumerate(ROWS)]
    dataset, notes = shop.prepare(log_text(rows=rows))
    assert dataset.info.threshold is None and "no scale that is known" in notes and dataset.info.interactions == 32


def test_words_for_ratings_come_from_the_mapping(shop: Shop) -> None:
    rows = [(user, item, ("loved", "awful")[n % 4 == 3], time) for n, (user, item, _, time) in enumerate(ROWS)]
    log = log_text(rows=rows)
    dataset, notes = shop.prepare(log)
    assert "column rating is not taken for the rating" in notes
    assert dataset.info.threshold is None and dataset.info.interactions == 32
    mapped, _ = shop.prepare(log, mapping="[ratings]\nwords = { loved = 1, awful = 0 }\n")
    assert mapped.info.threshold == 1 and mapped.info.dropped["rating below the threshold"] == 8


def test_kinds_of_events_take_away_only_what_was_before(shop: Shop) -> None:
    header, times = "user_id,item_id,action,timestamp", iter(range(1_600_000_000, 1_700_000_000))
    rows = [(user, item, "Purchase", next(times)) for user in PEOPLE for item in SHELF]
    rows += [("u0", "i0", "Refund", next(times)), ("u1", "i1", "Refund", next(times))]
    rows += [("u1", "i1", "Purchase", next(times)), ("u2", "i2", "RemoveFromCart", next(times))]
    rows += [("u3", "i3", "mystery", next(times))]
    dataset, notes = shop.prepare(log_text(rows=rows, header=header))
    assert dataset.info.dropped == {
        "event of a kind that does not count": 1,
        "event that takes others away": 3,
        "taken away by a later event": 2,
    }
    assert dataset.lengths.tolist() == [7, 8, 8, 8]
    assert "Purchase (4)" in notes and "not mystery" in notes
    weights = '[events.weights]\npurchase = 1\nmystery = 9\n[events.takes_away]\nrefund = "all"\n'
    mapped, _ = shop.prepare(log_text(rows=rows, header=header), mapping=weights)
    assert mapped.interactions["rating"].max() == 9 and mapped.info.events == {"Purchase": 1, "mystery": 9}
    assert dataset.weights is None and mapped.weights is not None
    assert mapped.weights.max() == pytest.approx(9 * mapped.weights.min()) and mapped.weights.mean() == pytest.approx(
        1
    )


def test_quantities_below_zero_are_refunds_and_are_said(shop: Shop) -> None:
    header, times = "user_id,item_id,Quantity,timestamp", iter(range(1_600_000_000, 1_700_000_000))
    rows = [(user, item, 3, next(times)) for user in PEOPLE for item in SHELF]
    bought, said = shop.prepare(log_text(rows=rows, header=header))
    assert bought.info.interactions == len(rows) and "refund" not in said
    rows += [("u0", "i0", -3, next(times)), ("u1", "i1", -1, next(times)), ("u1", "i1", 2, next(times))]
    dataset, notes = shop.prepare(log_text(rows=rows, header=header))
    assert dataset.lengths.tolist() == [7, 8, 8, 8]
    assert dataset.info.dropped == {"event that takes others away": 2, "taken away by a later event": 2}
    assert "Quantity: rows below 0 are refunds, which take earlier rows of the item away" in notes
    kept, _ = shop.prepare(log_text(rows=rows, header=header), mapping='[interactions]\nquantity = ""\n')
    assert kept.lengths.tolist() == [8, 8, 8, 8]


def test_a_column_called_type_that_holds_no_events_is_left_aside(shop: Shop) -> None:
    rows = [(*row, ("mobile", "desktop")[n % 2]) for n, row in enumerate(ROWS)]
    dataset, notes = shop.prepare(log_text(rows=rows, header="user_id,item_id,rating,timestamp,type"))
    assert dataset.info.interactions == 32 and "column type is not taken for the event" in notes


def test_guessed_columns_that_cannot_be_read_are_left_aside_and_mapped_ones_are_errors(shop: Shop) -> None:
    rows = [(user, item, "PG-13", "some day", f"A-{n // 3}") for n, (user, item, *_) in enumerate(ROWS)]
    log = log_text(rows=rows, header="user_id,item_id,rating,date,order")
    dataset, notes = shop.prepare(log)
    assert dataset.info.interactions == 32
    for role in ("rating", "timestamp", "position"):
        assert f"is not taken for the {role}" in notes
    for role, column in (("rating", "rating"), ("timestamp", "date"), ("position", "order")):
        told = shop.refuse(log, mapping=f'[interactions]\n{role} = "{column}"\n')
        assert f"column '{column}' cannot be read as {role}" in told


def test_a_date_whose_day_cannot_be_told_is_refused_until_the_mapping_says_it(shop: Shop) -> None:
    rows = [(user, item, 5, f"0{n % 9 + 1}/03/2020") for n, (user, item, *_) in enumerate(ROWS)]
    assert "cannot be told" in shop.refuse(log_text(rows=rows))
    dataset, _ = shop.prepare(log_text(rows=rows), mapping='[interactions]\nformat = "%d/%m/%Y"\n')
    assert dataset.interactions["timestamp"].min() == 1_583_020_800  # 2020-03-01
    assert "format" in shop.refuse(log_text(rows=rows), mapping='[interactions]\nformat = "%Y-%m-%d"\n')


@pytest.mark.parametrize(
    ("log_id", "item_id", "same"),
    [("{}.0", "{}", "number"), ("{}", "00{}", "zeros"), ("X-{}", "x-{}", "case")],
)
def test_ids_match_without_what_the_mapping_says(log_id: str, item_id: str, same: str, shop: Shop) -> None:
    rows = [(user, log_id.format(n % 8 + 1), 5, time) for n, (user, _, _, time) in enumerate(ROWS)]
    ids = [item_id.format(n + 1) for n in range(8)]
    items = items_text(item_id=ids)
    assert f"--same-ids {same}" in shop.refuse(log_text(rows=rows), items)
    dataset, _ = shop.prepare(log_text(rows=rows), items, f'[ids]\nsame = ["{same}"]\n')
    assert dataset.items["item_id"].to_list() == ids and dataset.info.interactions == 32
    twice = items_text(item_id=[*ids[:7], log_id.format(1)])
    assert "would be one" in shop.refuse(log_text(rows=rows), twice, f'[ids]\nsame = ["{same}"]\n')


def test_a_column_of_durations_has_no_role_in_a_log(shop: Shop) -> None:
    log = pl.read_csv(io.StringIO(log_text())).with_columns(type=pl.duration(seconds=pl.col("rating")))
    dataset, notes = shop.prepare(log, log_name="log.parquet")
    assert dataset.info.interactions == 32 and "event" not in notes


def test_numbers_as_ids_are_whole_numbers_in_parquet(shop: Shop) -> None:
    log = pl.DataFrame({"user_id": [1.0, 2.0, 3.0] * 8, "item_id": [float(n // 3) for n in range(24)]})
    items = pl.DataFrame({"item_id": list(range(8)), "title": SHELF})
    dataset, _ = shop.prepare(log, items, log_name="log.parquet", items_name="items.parquet")
    assert dataset.user_ids.to_list() == ["1", "2", "3"] and dataset.info.interactions == 24


def test_the_mapping_of_what_was_guessed_gives_the_same_data_set(shop: Shop) -> None:
    rows = [(user, item, f'"{n % 5 + 1},0"', time) for n, (user, item, _, time) in enumerate(ROWS * 2)]
    log = log_text(";", [(*row, "view") for row in rows], "Customer ID,SKU,stars,time,event")
    items = items_text(sku=SHELF, price=["5,99 €"] * 8, tags=["['a', 'b']"] * 8).replace("item_id", "row nr", 1)
    guessed, notes = shop.prepare(log, items)
    raw = read_own(shop.folder / "log.csv", shop.folder / "items.csv", None, shop.folder / "work")
    text = guessed_mapping(raw, shop.folder / "check")
    mapped, _ = shop.prepare(log, items, text)
    assert mapped.interactions.equals(guessed.interactions) and mapped.items.equals(guessed.items)
    assert mapped.info.threshold == guessed.info.threshold and mapped.info.columns == guessed.info.columns
    assert all(f"# {note}" in text for note in notes.splitlines() if "column price" in note)


def test_the_mapping_of_what_was_guessed_can_be_read_whatever_columns_are_called(shop: Shop) -> None:
    names = ["odd\x05\x7fname", "two\nlines", "a # b", 'quo"ted', "same"]
    table = {"item_id": SHELF, "title": SHELF, "price\x00in": ["5,99 €"] * 8} | {name: range(8) for name in names}
    items = shop.write("items.parquet", pl.DataFrame(table))
    raw = read_own(shop.write("log.csv", log_text()), items, None, shop.folder / "work")
    (shop.folder / "check").mkdir()
    file = shop.write("map.toml", guessed_mapping(raw, shop.folder / "check"))
    assert {*names, "price\x00in"} <= read_mapping(file).items.kinds.keys()
