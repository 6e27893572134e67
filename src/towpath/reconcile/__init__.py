"""Reconcile: make what a stage has equal to what its stage files want."""
