"""Claims about dates and times as logs write them."""

from __future__ import annotations

import polars as pl
import pytest

from latentcrs.data.times import TimeForm, learn_times, read_times

MOMENT = 1_600_000_000  # 2020-09-13 12:26:40 UTC
MINUTE, DAY = MOMENT - 40, 1_599_955_200


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2020-09-13T12:26:40Z", MOMENT),
        ("2020-09-13T14:26:40+02:00", MOMENT),
        ("2020-09-13 14:26:40+0200", MOMENT),
        ("2020-09-13 14:26:40+02", MOMENT),
        ("2020-09-13 12:26:40 UTC", MOMENT),
        ("2020-09-13 12:26:40,5", MOMENT),
        ("2020-09-13T12:26:40.123456789", MOMENT),
        ("2020-09-13T14:26:40+02:00[Europe/Berlin]", MOMENT),
        ("2020-09-13 14:26:40 Europe/Berlin", MOMENT),
        ("2020-09-13 08:26:40 EDT", MOMENT),
        ("2020-09-13 14:26:40 CEST", MOMENT),
        ("20200913T122640Z", MOMENT),
        ("20200913122640", MOMENT),
        ("202009131226", MINUTE),
        ("20200913", DAY),
        ("2020/09/13 12:26", MINUTE),
        ("13/09/2020 12:26:40", MOMENT),
        ("09/13/2020 12:26:40 PM", MOMENT),
        ("13.09.2020", DAY),
        ("13.09.20 12:26", MINUTE),
        ("13-Sep-2020 12:26:40", MOMENT),
        ("Sept 13, 2020 12:26 PM", MINUTE),
        ("13th September 2020", DAY),
        ("Sunday, September 13, 2020 12:26:40 PM", MOMENT),
        ("Sun, 13 Sep 2020 12:26:40 +0000", MOMENT),
        ("Sun Sep 13 12:26:40 +0000 2020", MOMENT),
        ("Sun Sep 13 12:26:40 UTC 2020", MOMENT),
        ("13/Sep/2020:12:26:40 +0000", MOMENT),
        ("13. September 2020 12:26", MINUTE),
        ("So., 13. Sept. 2020", DAY),
        ("dimanche 13 septembre 2020 12:26:40", MOMENT),
        ("13 de septiembre de 2020", DAY),
        ("13/set/2020", DAY),
        ("13. syyskuuta 2020", DAY),
        ("13 września 2020", DAY),
        ("13 сентября 2020 г.", DAY),
        ("2020年9月13日 12:26", MINUTE),
        ("1600000000", MOMENT),
        ("1600000000.0", MOMENT),
        ("1600000000000", MOMENT),
        ("1600000000000000", MOMENT),
        ("1600000000000000000", MOMENT),
        ("1.6e9", MOMENT),
    ],
)
def test_a_time_is_read_in_whatever_form_it_has(written: str, seconds: int) -> None:
    values = pl.Series("t", [written, None, written])
    form = learn_times(values.drop_nulls())
    assert isinstance(form, TimeForm), form
    assert read_times(values, form)[0].to_list() == [seconds, None, seconds]


def test_months_of_other_languages_are_not_those_they_begin_like() -> None:
    november, july = pl.Series("t", ["3 marraskuuta 2020"]), pl.Series("t", ["3 juillet 2020"])
    for values, month in ((november, 11), (july, 7)):
        form = learn_times(values)
        assert isinstance(form, TimeForm)
        assert read_times(values, form)[1].cast(pl.Datetime("us")).dt.month().to_list() == [month]


@pytest.mark.parametrize(("number", "seconds"), [(20200913, DAY), (20200913122640, MOMENT), (1600000000, MOMENT)])
def test_numbers_that_are_dates_are_no_seconds(number: int, seconds: int) -> None:
    for values in (pl.Series("t", [number]), pl.Series("t", [float(number)])):
        form = learn_times(values)
        assert isinstance(form, TimeForm) and read_times(values, form)[0].to_list() == [seconds]


def test_day_or_month_first_is_told_over_the_column() -> None:
    day = learn_times(pl.Series("t", ["01/02/2020", "13/02/2020"]))
    month = learn_times(pl.Series("t", ["01/02/2020", "01/13/2020"]))
    assert isinstance(day, TimeForm) and day.order == "day first" and "day first" in day.notes[0]
    assert isinstance(month, TimeForm) and month.order == "month first"
    for untold in (["01/02/2020", "03/04/2020"], ["13/02/2020", "02/13/2020"]):
        assert "first" in str(learn_times(pl.Series("t", untold))) and "format" in str(
            learn_times(pl.Series("t", untold))
        )


def test_zones_differ_from_row_to_row() -> None:
    values = pl.Series("t", ["2020-09-13T12:26:40Z", "2020-09-13T07:26:40-05:00", "2020-09-13T12:26:40"])
    form = learn_times(values)
    assert isinstance(form, TimeForm) and "-05:00" in "; ".join(form.notes)
    assert read_times(values, form)[0].to_list() == [MOMENT] * 3


def test_what_is_no_time_names_the_forms_that_are_and_the_setting() -> None:
    for values in (["yesterday", "today"], ["31.02.2020"], ["12:30"]):
        told = learn_times(pl.Series("t", values))
        assert "ISO 8601" in str(told) and "format" in str(told)


def test_numbers_and_dates_may_stand_in_one_column() -> None:
    values = pl.Series("t", ["2020-09-13 12:26:40", "1600000001", "2020-09-13 12:26:42", "1600000003000"])
    form = learn_times(values)
    assert isinstance(form, TimeForm)
    seconds, exact = read_times(values, form)
    assert seconds.to_list() == [MOMENT, MOMENT + 1, MOMENT + 2, MOMENT + 3] and exact.is_sorted()


def test_a_date_is_not_guessed_that_comes_after_the_rows_that_were_looked_at() -> None:
    form = learn_times(pl.Series("t", ["2020-09-13", "2020-09-14"]))
    assert isinstance(form, TimeForm)
    assert read_times(pl.Series("t", ["2020-09-13", "03/04/2020"]), form)[0].to_list() == [DAY, None]
