"""The same arithmetic on sorted arrays: numpy kernels that an engine runs over Arrow batches.

Window expressions cost an engine a sort and a pass each, and Sail a call per row and expression:
17 s for a million events. A kernel sorts once and then only shifts, compares and carries forward.
Both ways give the same rows; `engine/arithmetic.py` says when which is used.
"""
