"""What computes: sessions of Spark, Sail and Spark Connect, and how our code meets them."""
