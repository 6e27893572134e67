"""The names of measures of bias, ours and those of SageMaker Clarify."""

from __future__ import annotations

from collections.abc import Mapping

BEFORE_TRAINING: Mapping[str, str] = {
    "class_imbalance": "CI",
    "label_difference": "DPL",
    "kl_divergence": "KL",
    "js_divergence": "JS",
    "total_variation": "TVD",
}
"""Measures of bias in labels, with the names that SageMaker Clarify has for them."""
AFTER_TRAINING: Mapping[str, str] = {
    "positive_difference": "DPPL",
    "disparate_impact": "DI",
    "recall_difference": "RD",
    "specificity_difference": "SD",
    "precision_difference": "DAR",
    "rejection_difference": "DRR",
    "accuracy_difference": "AD",
    "conditional_acceptance": "DCA",
    "conditional_rejection": "DCR",
    "treatment_equality": "TE",
}
"""The same of bias in predictions."""
ALL_MEASURES = {**BEFORE_TRAINING, **AFTER_TRAINING}
RATIO = "disparate_impact"
"""The measure that is 1, and not 0, where groups are alike."""
