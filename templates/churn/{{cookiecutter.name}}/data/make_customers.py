"""Makes customers.csv: customers of a telephone company that nobody has, the same ones each time.

`python data/make_customers.py` writes the table beside this file. Only Python's own generator is
used, whose numbers are the same in every version and on every machine.
"""

import csv
import math
import random
from pathlib import Path

SEED = 20261126
CUSTOMERS = 4000
WITHOUT_CHARGE = 12  # a known defect: the first bill of these is not written yet
REGIONS = ["north", "east", "south", "west"]
AGES = ["under 30", "30 to 59", "60 and over"]
PLANS = ["prepaid", "monthly", "yearly"]
FEE = {"prepaid": 5.0, "monthly": 15.0, "yearly": 12.0}  # a month
RATE = {"day": 0.17, "evening": 0.085, "night": 0.045, "international": 0.27}  # a minute
MINUTES = {"day": (180, 54), "evening": (200, 50), "night": (200, 50), "international": (10, 2.8)}
COLUMNS = [
    "customer", "region", "age_group", "months", "plan", "international_plan", "voicemail",
    "day_minutes", "evening_minutes", "night_minutes", "international_minutes", "calls",
    "service_calls", "monthly_charge", "churned",
]  # fmt: skip


def near(draw: random.Random, middle: float, spread: float) -> float:
    """Around a middle, as a bell has it: the sum of twelve draws has a deviation of 1."""
    return middle + spread * (math.fsum(draw.random() for _ in range(12)) - 6)


def make_customer(draw: random.Random, number: int) -> dict[str, object]:
    """One customer, and whether she leaves."""
    minutes = {time: max(0.0, round(near(draw, *MINUTES[time]), 1)) for time in MINUTES}
    plan = draw.choices(PLANS, [3, 5, 4])[0]
    abroad = draw.random() < 0.15
    charge = FEE[plan] + 3 * abroad + math.fsum(RATE[time] * minutes[time] for time in RATE)
    customer = {
        "customer": 10000 + number,
        "region": draw.choice(REGIONS),
        "age_group": draw.choices(AGES, [3, 4, 3])[0],
        "months": 1 + int(119 * draw.random() ** 1.5),
        "plan": plan,
        "international_plan": "yes" if abroad else "no",
        "voicemail": "yes" if draw.random() < 0.3 else "no",
        **{f"{time}_minutes": minutes[time] for time in minutes},
        "calls": max(1, round(near(draw, 300, 60))),
        "service_calls": sum(draw.random() < 0.2 for _ in range(8)),
        "monthly_charge": round(charge, 2),
    }
    chance = 1 / (1 + math.exp(-urge_to_leave(customer)))
    return customer | {"churned": int(draw.random() < chance)}


def urge_to_leave(customer: dict) -> float:
    """The logit of leaving: who calls the service often, pays much or is new leaves sooner, and
    least of all who has signed for a year. The region says nothing, the age hardly anything."""
    urge = -3.8
    urge += 2.9 * (customer["service_calls"] >= 3)
    urge += 0.13 * (customer["monthly_charge"] - 75)
    urge += 2.2 * (customer["international_plan"] == "yes")
    urge += {"prepaid": 1.2, "monthly": 0.6, "yearly": -1.6}[customer["plan"]]
    urge -= 0.8 * (customer["voicemail"] == "yes")
    urge += 1.4 * (customer["months"] <= 12)
    urge += 0.2 * (customer["age_group"] == "under 30")
    return urge


def make_customers() -> list[dict[str, object]]:
    """All of them, in the order of their numbers."""
    draw = random.Random(SEED)
    customers = [make_customer(draw, number) for number in range(CUSTOMERS)]
    for customer in draw.sample(customers, WITHOUT_CHARGE):
        customer["monthly_charge"] = None
    return customers


def write_customers(path: Path) -> None:
    """The table as a CSV, with the same bytes everywhere."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(make_customers())


if __name__ == "__main__":
    write_customers(Path(__file__).with_name("customers.csv"))
