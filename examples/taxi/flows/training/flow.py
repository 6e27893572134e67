"""The flow of this pipeline, which prefect.yaml names."""

from towpath import flow

training = flow(__file__)
