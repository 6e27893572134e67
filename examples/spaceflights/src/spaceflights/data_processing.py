"""Three tables as they are kept become one to learn from."""

import pandas as pd


def is_true(column: pd.Series) -> pd.Series:
    return column == "t"


def parse_percentage(column: pd.Series) -> pd.Series:
    return column.str.removesuffix("%").astype(float) / 100


def parse_money(column: pd.Series) -> pd.Series:
    return column.str.replace("[$,]", "", regex=True).astype(float)


def preprocess_companies(companies: pd.DataFrame) -> pd.DataFrame:
    companies["iata_approved"] = is_true(companies["iata_approved"])
    companies["company_rating"] = parse_percentage(companies["company_rating"])
    return companies


def preprocess_shuttles(shuttles: pd.DataFrame) -> pd.DataFrame:
    for checked in ("d_check_complete", "moon_clearance_complete"):
        shuttles[checked] = is_true(shuttles[checked])
    shuttles["price"] = parse_money(shuttles["price"])
    return shuttles


def create_model_input_table(
    shuttles: pd.DataFrame, companies: pd.DataFrame, reviews: pd.DataFrame
) -> pd.DataFrame:
    """A row for each shuttle that has a review, with its company."""
    rated = shuttles.merge(reviews, left_on="id", right_on="shuttle_id").drop(columns="id")
    return rated.merge(companies, left_on="company_id", right_on="id").dropna()
