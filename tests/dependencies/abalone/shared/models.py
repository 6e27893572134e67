"""A model of our own."""

from dataclasses import dataclass


class Base:
    def predict(self, x):
        return self.inner.predict(x)


@dataclass
class Model(Base):
    inner: object
