"""Reads MovieLens in the layouts it is published in (100K, 1M, latest-small, 32M) and as RecBole carries it."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.data.columns import gather_lists
from latentcrs.data.dataset import ColumnKind
from latentcrs.data.known import GROUPLENS_TERMS
from latentcrs.data.lines import LineProblem, readable
from latentcrs.data.raw import RawData, Source, raw_interactions, unusable
from latentcrs.data.titles import split_title

GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
KINDS: dict[str, ColumnKind] = {
    "year": "year",
    "genres": "multi-category",
    "certificate": "category",
    "director": "multi-category",
    "actors": "multi-category",
    "writers": "multi-category",
    "plot": "text",
    "description": "text",
}
ReadCatalogue = tuple[pl.DataFrame, list[tuple[int, str]]]
"""A catalogue (line, item_id, title, year, genres) and the lines that could not be read, as (line, problem)."""
LOG_FIELDS = ("user_id", "item_id", "rating", "timestamp")


@dataclass(frozen=True)
class Layout:
    """One way MovieLens lies on disk: its two files, and how each is read (a log lazily, a catalogue at once)."""

    log: str
    catalogue: str
    read_log: Callable[[Path], pl.LazyFrame]
    read_catalogue: Callable[[Path], ReadCatalogue]
    encoding: str = "utf-8"  # of the catalogue
    extras: tuple[str, ...] = ()


def read_log_dat(path: Path) -> pl.LazyFrame:
    """`1::1193::5::978300760`, one rating per line."""
    lines = pl.scan_lines(path, name="text", row_index_name="line", row_index_offset=1)
    # A fifth part catches lines with too many fields, which are as unreadable as those with too few.
    parts = pl.col("text").str.strip_chars().str.split_exact("::", 4).struct.rename_fields([*LOG_FIELDS, "extra"])
    lines = lines.filter(pl.col("text").str.strip_chars() != "").with_columns(parts.alias("fields"))
    return parse_log(lines.select("line", "text", pl.col("fields").struct.unnest()))


def read_log_tab(path: Path, skip: int = 0, separator: str = "\t") -> pl.LazyFrame:
    """`196 242 3 881250949`, separated by tabs; `skip`: lines of a header, as RecBole's typed names."""
    log = pl.scan_csv(
        path,
        separator=separator,
        has_header=False,
        skip_rows=skip,
        new_columns=list(LOG_FIELDS),
        infer_schema=False,
        quote_char=None if separator == "\t" else '"',
        truncate_ragged_lines=True,
        row_index_name="line",
        row_index_offset=1 + skip,
    )
    return parse_log(log)


def read_log_csv(path: Path) -> pl.LazyFrame:
    """`userId,movieId,rating,timestamp` with a header."""
    return read_log_tab(path, skip=1, separator=",")


def parse_log(log: pl.LazyFrame) -> pl.LazyFrame:
    """Strings to numbers; what cannot be read is named in `problem`."""
    rating = pl.col("rating").cast(pl.Float64, strict=False)
    timestamp = pl.col("timestamp").cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    too_many = pl.col("extra").is_not_null() if "extra" in log.collect_schema() else pl.lit(False)
    problem = unusable(rating, timestamp, too_many)
    return raw_interactions(log.with_columns(rating=rating, timestamp=timestamp, problem=problem))


def read_catalogue_dat(path: Path) -> ReadCatalogue:
    """`1::Toy Story (1995)::Animation|Children's|Comedy`, one film per line."""
    fields, problems = split_lines(path, "::", 3)
    return films_of(fields, pl.lit(None, dtype=pl.Int32), field(2).str.split("|")), problems


def read_catalogue_100k(path: Path) -> ReadCatalogue:
    """`1|Toy Story (1995)|01-Jan-1995||http...|0|0|0|1|...`, one flag per genre."""
    fields, problems = split_lines(path, "|", 5 + len(GENRES_100K))
    flags = [pl.when(field(5 + n) == "1").then(pl.lit(genre)) for n, genre in enumerate(GENRES_100K)]
    released = field(2).str.extract(r"(\d{4})$").cast(pl.Int32)
    return films_of(fields, released, pl.concat_list(flags).list.drop_nulls()), problems


def read_catalogue_recbole(path: Path) -> ReadCatalogue:
    """RecBole's `ml-100k.item`: tab separated, years in a column of their own, genres separated by spaces."""
    fields, problems = split_lines(path, "\t", 4, skip=1)
    return films_of(fields, field(2).cast(pl.Int32, strict=False), field(3).str.split(" ")), problems


def read_catalogue_csv(path: Path) -> ReadCatalogue:
    """`movieId,title,genres` with a header."""
    films = pl.read_csv(
        path, has_header=False, skip_rows=1, new_columns=["item_id", "raw", "genres"], infer_schema=False,
        truncate_ragged_lines=True, row_index_name="line", row_index_offset=2,
    )  # fmt: skip
    return films.select("line", "item_id", *split_title("raw"), pl.col("genres").str.split("|")), []


def split_lines(path: Path, separator: str, least: int, skip: int = 0) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """`line` and `fields` (List) of the lines that have at least `least` of them; the others as (line, problem)."""
    lines = pl.read_lines(path, name="text", row_index_name="line", row_index_offset=1).slice(skip)
    lines = lines.filter(pl.col("text").str.strip_chars() != "")
    # A Windows copy ends its lines with a carriage return, which is no part of the last field.
    lines = lines.select("line", pl.col("text").str.strip_chars_end("\r").str.split(separator).alias("fields"))
    whole = pl.col("fields").list.len() >= least
    short = lines.filter(~whole).select("line", pl.col("fields").list.len())
    return lines.filter(whole), [(line, f"{count} fields where {least} are expected") for line, count in short.rows()]


def field(number: int) -> pl.Expr:
    """The field at `number` of each line, 0 is the first."""
    return pl.col("fields").list.get(number)


def films_of(fields: pl.DataFrame, released: pl.Expr, genres: pl.Expr) -> pl.DataFrame:
    """Films out of lines that begin with id and title; the year is `released` where the title has none."""
    films = fields.select("line", item_id=field(0), raw=field(1), released=released, genres=genres)
    title, year = split_title("raw")
    return films.select("line", "item_id", title, pl.coalesce(year, "released").alias("year"), "genres")


def read_extra_information(path: Path) -> pl.DataFrame:
    """`movies_extrainfos.dat`: certificate, people and plot of each film (UTF-8, `::` between fields)."""
    lines = pl.read_lines(path, name="text")["text"].str.strip_chars("\r\n ")
    fields = lines.str.split("::").to_frame("f").filter(pl.col("f").list.len() >= 10)
    people = {"director": 6, "actors": 8, "writers": 7}
    frame = fields.select(
        pl.col("f").list.get(0).alias("item_id"),
        pl.col("f").list.get(3).alias("certificate"),
        *(pl.col("f").list.get(at).alias(name) for name, at in people.items()),
        # A plot may hold '::' itself; the last field is the address of a poster.
        pl.col("f").list.slice(9).list.head(pl.col("f").list.len().cast(pl.Int64) - 10).list.join("::").alias("plot"),
    )
    return frame.with_columns(split_people(frame[name]) for name in people)


def split_people(values: pl.Series) -> pl.Series:
    """'Joss Whedon (screenplay by), Joel Cohen (screenplay by)' to the list of names, each once."""
    names = values.str.replace_all(r"\s*\([^()]*\)", "").str.split(", ")
    flat = pl.DataFrame({"row": pl.Series(range(len(names)), dtype=pl.UInt32), "part": names})
    flat = flat.explode("part").with_columns(pl.col("part").str.strip_chars(" ,"))
    flat = flat.with_columns(pl.when(~pl.col("part").is_in(["", "N/A"])).then("part"))
    return gather_lists(flat, len(names)).alias(values.name)


def read_descriptions(path: Path) -> pl.DataFrame:
    """`llm_item_descriptions.json`: item id -> a description."""
    try:
        descriptions = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON ({error.msg}); get the file again or remove it.") from None
    return pl.DataFrame(
        {"item_id": list(descriptions), "description": list(descriptions.values())},
        schema={"item_id": pl.String, "description": pl.String},
    )


EXTRA_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "movies_extrainfos.dat": read_extra_information,
    "llm_item_descriptions.json": read_descriptions,
}
LAYOUTS = {
    "100k": Layout("u.data", "u.item", read_log_tab, read_catalogue_100k, "latin-1"),
    "recbole": Layout(
        "ml-100k.inter", "ml-100k.item", lambda path: read_log_tab(path, skip=1), read_catalogue_recbole
    ),
    "dat": Layout("ratings.dat", "movies.dat", read_log_dat, read_catalogue_dat, "latin-1", tuple(EXTRA_READERS)),
    "csv": Layout("ratings.csv", "movies.csv", read_log_csv, read_catalogue_csv),
}


def find_layout(path: Path, workspace: Path, layouts: list[Layout]) -> tuple[Layout, Path]:
    """The layout found at `path` (a folder, a subfolder of it, or a zip, unpacked into `workspace`)."""
    wanted = " or ".join(f"{layout.log} and {layout.catalogue}" for layout in layouts)
    if not path.exists():
        raise UserError(f"{path} does not exist; --from wants a folder or zip with {wanted}.")
    if path.is_file():
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path} is no zip file; --from wants a folder or zip with {wanted}.")
        unpack(path, workspace, layouts)
        path = workspace
    for folder in (path, *sorted(child for child in path.iterdir() if child.is_dir())):
        for layout in layouts:
            if (folder / layout.log).is_file() and (folder / layout.catalogue).is_file():
                return layout, folder
    raise UserError(f"{path} does not hold {wanted}; --from wants the folder or zip as it is published.")


def unpack(path: Path, workspace: Path, layouts: list[Layout]) -> None:
    """Unpack the files that the layouts name, by their bare names, so that no path in the zip can lead elsewhere."""
    wanted = {name for layout in layouts for name in (layout.log, layout.catalogue, *layout.extras)}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.rsplit("/", 1)[-1]
                if name in wanted:
                    with archive.open(member) as source, (workspace / name).open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path} is a damaged zip file ({error}); get it again.") from None


def reader(name: str, layouts: list[str]) -> Callable[[Path, Path], RawData]:
    """The reader of one MovieLens data set, which may lie in any of `layouts`."""

    def read(path: Path, workspace: Path) -> RawData:
        layout, folder = find_layout(path, workspace, [LAYOUTS[key] for key in layouts])
        log = readable(folder / layout.log, workspace)
        catalogue = readable(folder / layout.catalogue, workspace, layout.encoding)
        items, faulty = layout.read_catalogue(catalogue.path)
        broken = [LineProblem(catalogue.original, line, "too few fields", words) for line, words in faulty]
        if len(items) == 0:
            raise UserError(f"{catalogue.original} holds no films in the layout of {name}; is it the right file?")
        files = [layout.log, layout.catalogue]
        for extra in layout.extras:
            if (folder / extra).is_file():
                found = EXTRA_READERS[extra](folder / extra).unique("item_id", keep="first", maintain_order=True)
                items = items.join(found, on="item_id", how="left", maintain_order="left")
                files.append(extra)
        return RawData(
            name=name,
            source=f"MovieLens ({', '.join(files)})",
            terms=GROUPLENS_TERMS,
            interactions=layout.read_log(log.path),
            items=items.drop("line"),
            kinds={column: kind for column, kind in KINDS.items() if column in items.columns},
            # The field's MovieLens protocol: users with 5 liked films or more, every film they liked.
            user_core=5,
            item_core=1,
            files={"interactions": folder / layout.log, "items": folder / layout.catalogue},
            problems=[*log.problems, *catalogue.problems, *broken],
            item_lines=items["line"],
        )

    return read


MOVIELENS = [
    Source(name, about, GROUPLENS_TERMS, reader(name, layouts))
    for name, about, layouts in (
        ("ml-100k", "MovieLens 100K: 943 users, 1,682 films, 100,000 ratings", ["100k", "recbole"]),
        ("ml-1m", "MovieLens 1M: 6,040 users, 3,883 films, 1,000,209 ratings", ["dat"]),
        ("ml-latest-small", "MovieLens latest-small: 610 users, 9,742 films, 100,836 ratings", ["csv"]),
        ("ml-32m", "MovieLens 32M: 200,948 users, 87,585 films, 32,000,204 ratings", ["csv"]),
    )
]
