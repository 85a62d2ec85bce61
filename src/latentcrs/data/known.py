"""The data sets that can be fetched by name: official addresses, checksums, terms of use, expected files."""

import re
from dataclasses import dataclass

from latentcrs.base.errors import UserError
from latentcrs.base.packages import WheelFiles


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set. `checksum` is "md5:..." or "sha256:..."; None where none is pinned."""

    url: str
    checksum: str | None = None
    # Whether the address publishes a checksum beside it (`url`.md5), for files that are replaced now and then.
    publishes_md5: bool = False

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class KnownDataset:
    """A data set with an official address.

    `layouts` are the sets of files one of which a complete folder holds; `source` is its name for
    `latentcrs data prepare`.
    """

    name: str
    about: str
    files: tuple[RemoteFile, ...]
    layouts: tuple[tuple[str, ...], ...]
    terms: str
    source: str
    mirror: WheelFiles | None = None


GROUPLENS = "https://files.grouplens.org/datasets/movielens"
GROUPLENS_TERMS = (
    "MovieLens, collected by GroupLens Research at the University of Minnesota. You may use it for research; you may "
    "not redistribute it without separate permission, nor use it for commercial or revenue-bearing purposes without "
    "permission, nor state or imply any endorsement by the University of Minnesota or GroupLens; publications "
    "acknowledge it (Harper and Konstan, 2015). It comes without any warranty. The terms in full: the README that "
    "lies with it, and https://grouplens.org/datasets/movielens/"
)
AMAZON = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw"
AMAZON_TERMS = (
    "Amazon Reviews 2023, collected by McAuley Lab at UC San Diego. The reviews are the words of their authors, and "
    "the publishers state no licence for them: use them for research, and cite Hou et al. (2024), 'Bridging Language "
    "and Items for Retrieval and Recommendation'. See https://amazon-reviews-2023.github.io/"
)
REDIAL_TERMS = (
    "ReDial (Li et al., 2018, 'Towards Deep Conversational Recommendations'), licensed under Creative Commons "
    "Attribution 4.0: keep the attribution wherever you share it or what you make of it. See "
    "https://redialdata.github.io/website/"
)
AMAZON_CATEGORIES = tuple(
    "All_Beauty Amazon_Fashion Appliances Arts_Crafts_and_Sewing Automotive Baby_Products "
    "Beauty_and_Personal_Care Books CDs_and_Vinyl Cell_Phones_and_Accessories Clothing_Shoes_and_Jewelry "
    "Digital_Music Electronics Gift_Cards Grocery_and_Gourmet_Food Handmade_Products Health_and_Household "
    "Health_and_Personal_Care Home_and_Kitchen Industrial_and_Scientific Kindle_Store Magazine_Subscriptions "
    "Movies_and_TV Musical_Instruments Office_Products Patio_Lawn_and_Garden Pet_Supplies Software "
    "Sports_and_Outdoors Subscription_Boxes Tools_and_Home_Improvement Toys_and_Games Video_Games Unknown".split()
)

MOVIELENS_100K_WHEEL = WheelFiles(
    package="recbole",
    version="1.2.1",
    folder="recbole/dataset_example/ml-100k",
    sha256={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
)

RATINGS_CSV = ("ratings.csv", "movies.csv")


def _movielens(name: str, about: str, md5: str = "", *layouts: tuple[str, ...], **more: WheelFiles) -> KnownDataset:
    """A MovieLens data set; without an `md5`, one that is replaced now and then."""
    file = RemoteFile(f"{GROUPLENS}/{name}.zip", f"md5:{md5}" if md5 else None, publishes_md5=not md5)
    return KnownDataset(name, f"MovieLens {about}", (file,), layouts, GROUPLENS_TERMS, name, **more)


KNOWN: dict[str, KnownDataset] = {
    known.name: known
    for known in (
        _movielens(
            "ml-100k",
            "100K: 943 users, 1,682 movies, 100,000 ratings (5 MB)",
            "0e33842e24a9c977be4e0107933c0723",
            ("u.data", "u.item"),
            ("ml-100k.inter", "ml-100k.item"),
            mirror=MOVIELENS_100K_WHEEL,
        ),
        _movielens(
            "ml-1m",
            "1M: 6,040 users, 3,706 rated movies, 1,000,209 ratings (6 MB)",
            "c4d9eecfca2ab87c1945afe126590906",
            ("ratings.dat", "movies.dat"),
        ),
        _movielens(
            "ml-latest-small",
            "latest, small: about 600 users, 9,000 movies, 100,000 ratings (1 MB; changes over time)",
            "",
            RATINGS_CSV,
        ),
        _movielens(
            "ml-32m",
            "32M: 200,948 users, 87,585 movies, 32,000,204 ratings (239 MB)",
            "d472be332d4daa821edc399621853b57",
            RATINGS_CSV,
        ),
        KnownDataset(
            name="redial",
            about="ReDial: 11,348 dialogues of a seeker and a recommender about movies (6 MB)",
            files=(
                RemoteFile(
                    "https://github.com/ReDialData/website/raw/data/redial_dataset.zip",
                    "sha256:b48756681ec6f84e0af36979c5e9baa21ea8d9e7036b8764ea9b787bb0baf69b",
                ),
            ),
            layouts=(("train_data.jsonl", "test_data.jsonl"), ("dialogues.jsonl",)),
            terms=REDIAL_TERMS,
            source="redial",
        ),
    )
}
SAMPLE = KNOWN["ml-100k"]
"""What the demo is made of: small, and soon there."""


def known_dataset(name: str) -> KnownDataset:
    """The data set called `name`; `amazon-2023:CATEGORY` names one category of Amazon Reviews 2023.

    Raises:
        UserError: there is no such data set, or no such category.
    """
    if name in KNOWN:
        return KNOWN[name]
    if name == "amazon-2023" or name.startswith("amazon-2023:"):
        category = name.partition(":")[2]
        if category not in AMAZON_CATEGORIES:
            raise UserError(
                f"'{name}' names no category of Amazon Reviews 2023; it is amazon-2023:CATEGORY with one of "
                + ", ".join(AMAZON_CATEGORIES)
                + "."
            )
        return amazon_category(category)
    raise UserError(f"no data set is called '{name}'; there are {', '.join(KNOWN)} and amazon-2023:CATEGORY.")


def amazon_category(category: str) -> KnownDataset:
    """One category of Amazon Reviews 2023: its reviews and its items."""
    names = (f"{category}.jsonl", f"meta_{category}.jsonl")
    return KnownDataset(
        name=f"amazon-2023:{category}",
        about=f"Amazon Reviews 2023, {category.replace('_', ' ')}: reviews and items",
        files=(
            RemoteFile(f"{AMAZON}/review_categories/{names[0]}.gz"),
            RemoteFile(f"{AMAZON}/meta_categories/{names[1]}.gz"),
        ),
        layouts=(tuple(f"{name}.gz" for name in names), names),
        terms=AMAZON_TERMS,
        source="amazon-2023",
    )


def folder_name(name: str) -> str:
    """`name` as a folder: everything a file system may refuse becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
