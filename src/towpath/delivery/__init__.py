"""How a version reaches a stage: promotions, gates, and the reconcile that carries them out."""
