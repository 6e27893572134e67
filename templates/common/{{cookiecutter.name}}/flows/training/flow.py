"""The training pipeline as a Prefect flow, for `prefect deploy` and for `python flow.py`."""

from towpath import flow

training = flow(__file__)

if __name__ == "__main__":
    training()
