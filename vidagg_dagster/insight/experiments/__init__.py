"""Experiments on video features: who was in which arm, what each unit did, what differs."""
