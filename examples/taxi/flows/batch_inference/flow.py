"""The flow of this pipeline, which prefect.yaml names."""

from towpath import flow

batch_inference = flow(__file__)
