"""Claims about numbers as people write them."""

from __future__ import annotations

import polars as pl
import pytest

from latentcrs.data.numerals import learn_numbers, read_numbers


@pytest.mark.parametrize(
    ("written", "numbers", "said"),
    [
        (["12,99 €", "5,00 €", "1.299,00 €"], [12.99, 5.0, 1299.0], "commas stand before decimals"),
        (["€12.99", "$5", "1,299.00 €"], [12.99, 5.0, 1299.0], "more than one currency"),
        (["EUR 12.99", "EUR 3"], [12.99, 3.0], "(EUR)"),
        (["12.99 USD", "1 299.00 USD"], [12.99, 1299.0], "(USD)"),
        (["CHF 1'299.50", "CHF 5.-"], [1299.5, 5.0], "(CHF)"),
        (["R$ 12,50", "R$ 1.250,00"], [12.5, 1250.0], "(R$)"),
        (["Rs. 1,23,456", "Rs. 500"], [123456.0, 500.0], "(Rs.)"),
        (["12,-", "5,50"], [12.0, 5.5], "commas"),
        (["1.299 €", "899 €"], [1299.0, 899.0], "before thousands"),
        (["1,299", "2,500", "12"], [1299.0, 2500.0, 12.0], "before thousands"),
        (["1.250", "1.300"], [1.25, 1.3], "before decimals"),
        (["1.250", "900"], [1250.0, 900.0], "before thousands"),
        (["(12.99)", "-5", "5"], [-12.99, -5.0, 5.0], ""),
        (["1e3", "2.5"], [1000.0, 2.5], ""),
        (["5,99 - 9,99 €", "4,99 €", "3,00 €"], [5.99, 4.99, 3.0], "low end"),
        (["$5.99–$9.99", "$3"], [5.99, 3.0], "low end"),
        (["10 to 20", "5", "6"], [10.0, 5.0, 6.0], "low end"),
        (["12 %", "5%"], [12.0, 5.0], "per cent"),
        (["5.99", "on request", "6.99", "call us", "7.99", "8.99"], [5.99, None, 6.99, None, 7.99, 8.99], ""),
        (["5", "6", "7", "8", "9", "10", "on request"], [5.0, 6.0, 7.0, 8.0, 9.0, 10.0, None], ""),
    ],
)
def test_numbers_are_read_however_they_are_written(written: list[str], numbers: list[float], said: str) -> None:
    values = pl.Series("price", written)
    form = learn_numbers(values)
    assert form is not None and said in "; ".join(form.notes)
    assert read_numbers(values, form).to_list() == numbers


@pytest.mark.parametrize(
    "written",
    [
        ["PS4", "PS5"],
        ["142 min", "90 min"],
        ["38", "40", "M", "L"],
        ["00123", "04512"],
        ["1995-11-22", "1996-01-02"],
        ["555-1234", "555-4321"],
        ["3/4", "1/2"],
        ["10:30", "11:45"],
    ],
)
def test_codes_sizes_dates_and_telephone_numbers_are_no_numbers(written: list[str]) -> None:
    assert learn_numbers(pl.Series("x", written)) is None
