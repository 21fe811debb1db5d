"""Steps: what each asset reads, computes, stores and validates."""
